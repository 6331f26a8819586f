//! Finding where in a table an element or a field is.

use wasm_encoder::Instruction as W;

use super::assembler::Label;
use super::{Emitter, KEY, OTHER, SLOT, TABLE, THREAD};
use crate::layout::{helper, node, table, tag};
use crate::module::FIRST_SITE;

impl Emitter<'_> {
    /// The number of an element.
    pub(super) fn element_number(&mut self, number: i64) {
        let element = self.locals.integer(0);
        self.i64(number);
        self.set(element);
    }

    /// The same, which is in a register.
    pub(super) fn element_in(&mut self, register: usize) {
        let (element, bits) = (self.locals.integer(0), self.locals.bits(register));
        self.get(bits);
        self.set(element);
    }

    /// The short string in a register as a key, or leaves by `other`.
    pub(super) fn string_in(&mut self, register: usize, other: Label) {
        let (bits, tag) = (self.locals.bits(register), self.locals.tag(register));
        self.get(tag);
        self.i32(tag::SHORT);
        self.put(&W::I32Ne);
        self.br_if(other);
        self.get(bits);
        self.put(&W::I32WrapI64);
        self.set(KEY);
    }

    /// Finds an element's slot in the array of the table, or leaves by `other`. Where the limit is a hint
    /// to where the list ends, there is room behind it, and it follows a list that grows.
    pub(super) fn find_element(&mut self, other: Label) {
        let element = self.locals.integer(0);
        self.get(element);
        self.i64(1);
        self.put(&W::I64Sub);
        self.tee(element);
        self.get(TABLE);
        self.load(table::LIMIT);
        self.tee(OTHER);
        self.put(&W::I64ExtendI32U);
        self.put(&W::I64GeU);
        self.if_();
        self.get(element);
        self.get(OTHER);
        self.put(&W::I64ExtendI32U);
        self.put(&W::I64Ne);
        self.br_if(other);
        self.limit_is_size(OTHER);
        self.br_if(other);
        self.get(TABLE);
        self.get(OTHER);
        self.i32(1);
        self.put(&W::I32Add);
        self.store(table::LIMIT);
        self.end();
        self.get(TABLE);
        self.load(table::ARRAY);
        self.get(element);
        self.put(&W::I32WrapI64);
        self.i32(4);
        self.put(&W::I32Shl);
        self.put(&W::I32Add);
        self.set(SLOT);
    }

    /// Whether there is nothing behind the limit of the table, which is in this local: it is no hint, or it is
    /// a power of two, as sizes are.
    pub(super) fn limit_is_size(&mut self, limit: u32) {
        self.get(TABLE);
        self.load_8(table::FLAGS);
        self.i32(table::LIMIT_IS_HINT);
        self.put(&W::I32And);
        self.put(&W::I32Eqz);
        self.get(limit);
        self.get(limit);
        self.i32(1);
        self.put(&W::I32Sub);
        self.put(&W::I32And);
        self.put(&W::I32Eqz);
        self.put(&W::I32Or);
    }

    /// Finds the value of the field `KEY` of `TABLE`, there or where its metatable leads to, or leaves by
    /// `other`.
    pub(super) fn find_field(&mut self, other: Label) {
        let found = self.block();
        let missed = self.block();
        let site = self.look_where_it_was(missed);
        self.br(found);
        self.end();
        self.get(THREAD);
        self.get(TABLE);
        self.get(KEY);
        self.put(&W::Call(helper::FIELD));
        self.tee(SLOT);
        self.put(&W::I32Eqz);
        self.br_if(other);
        self.note_where(site);
        self.end();
    }

    /// The number of the table's nodes, of which there is a power of two.
    fn nodes(&mut self) {
        self.i32(1);
        self.get(TABLE);
        self.load_8(table::LOG_NODES);
        self.put(&W::I32Shl);
    }

    /// Looks for `KEY` in the node that a field was in when this place was passed last. Leaves by `missed`
    /// if it isn't there, or has no value. Gives the place.
    pub(super) fn look_where_it_was(&mut self, missed: Label) -> u32 {
        let site = FIRST_SITE + self.sites;
        self.sites += 1;
        self.get(TABLE);
        self.load(table::NODES);
        self.put(&W::GlobalGet(site));
        self.nodes();
        self.i32(1);
        self.put(&W::I32Sub);
        self.put(&W::I32And);
        self.i32(node::SIZE);
        self.put(&W::I32Mul);
        self.put(&W::I32Add);
        self.tee(SLOT);
        self.load_16(node::TAGS);
        self.tee(OTHER);
        self.i32(8);
        self.put(&W::I32ShrU);
        self.i32(tag::SHORT);
        self.put(&W::I32Ne);
        self.br_if(missed);
        self.get(SLOT);
        self.load(node::KEY);
        self.get(KEY);
        self.put(&W::I32Ne);
        self.br_if(missed);
        self.get(OTHER);
        self.is_nothing();
        self.br_if(missed);
        site
    }

    /// Notes in which node the slot is, if it is one of the table's.
    pub(super) fn note_where(&mut self, site: u32) {
        self.get(SLOT);
        self.get(TABLE);
        self.load(table::NODES);
        self.put(&W::I32Sub);
        self.i32(node::SIZE);
        self.put(&W::I32DivU);
        self.tee(OTHER);
        self.nodes();
        self.put(&W::I32LtU);
        self.if_();
        self.get(OTHER);
        self.put(&W::GlobalSet(site));
        self.end();
    }
}
