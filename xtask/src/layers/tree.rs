//! The modules of a crate as its source files have them: what each defines, imports and names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// The text of a source file, by its path; `None` if there is no such file.
pub(crate) type Read<'a> = &'a dyn Fn(&Path) -> Option<String>;

/// Which module it is: an index into [`Tree::modules`].
pub(crate) type ModuleId = usize;

/// The crate's own module, where all others are below.
pub(crate) const ROOT: ModuleId = 0;

/// The modules of one crate, without those that are compiled for tests only.
pub(crate) struct Tree {
    pub(crate) modules: Vec<Module>,
}

/// One module, in a file of its own or inside of another's.
#[derive(Default)]
pub(crate) struct Module {
    /// The file that it is in.
    pub(crate) file: PathBuf,
    pub(crate) parent: Option<ModuleId>,
    pub(crate) children: BTreeMap<String, ModuleId>,
    /// What it defines itself, as far as that can be seen without expanding macros.
    pub(crate) items: BTreeSet<String>,
    /// What `use` brings into it.
    pub(crate) imports: Vec<Import>,
    /// Files whose text is put into it, and where it says so.
    pub(crate) includes: Vec<(PathBuf, usize)>,
    /// Every path that is written in it.
    pub(crate) mentions: Vec<Mention>,
}

/// One name that a `use` brings in, or all of a module's.
pub(crate) struct Import {
    /// `None` for `*`.
    pub(crate) name: Option<String>,
    pub(crate) path: Vec<String>,
}

/// A path as it is written somewhere.
pub(crate) struct Mention {
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
    /// Whether a `use` says so. Anything else of one segment may as well be a variable.
    pub(crate) imported: bool,
    /// Whether all of the module is imported, by `*`.
    pub(crate) glob: bool,
}

impl Tree {
    /// Reads a crate from the file of its root module on.
    ///
    /// # Errors
    ///
    /// If a module has no file, or a file isn't Rust.
    pub(crate) fn read(root: &Path, read: Read<'_>) -> Result<Tree> {
        let mut tree = Tree {
            modules: Vec::new(),
        };
        let folder = root.parent().context("a file is in a folder")?;
        tree.read_file(root, folder, None, read)?;
        Ok(tree)
    }

    /// Reads a module from its file. Modules that it declares are in `folder`.
    fn read_file(
        &mut self,
        file: &Path,
        folder: &Path,
        parent: Option<ModuleId>,
        read: Read<'_>,
    ) -> Result<ModuleId> {
        let text = read(file).with_context(|| format!("there is no {}", file.display()))?;
        let parsed = syn::parse_file(&text)
            .with_context(|| format!("{} can't be parsed", file.display()))?;
        self.add(file, folder, parent, &parsed.items, read)
    }

    fn add(
        &mut self,
        file: &Path,
        folder: &Path,
        parent: Option<ModuleId>,
        items: &[syn::Item],
        read: Read<'_>,
    ) -> Result<ModuleId> {
        let id = self.modules.len();
        self.modules.push(Module {
            file: file.to_owned(),
            parent,
            ..Module::default()
        });
        for item in items {
            if let syn::Item::Mod(item) = item {
                if !for_tests(&item.attrs) {
                    let name = item.ident.unraw().to_string();
                    let child = self.add_child(file, folder, id, item, read)?;
                    self.modules[id].children.insert(name, child);
                }
            } else if let Some(name) = defined(item) {
                self.modules[id].items.insert(name);
            }
        }
        let mut collector = Collector {
            module: &mut self.modules[id],
        };
        for item in items {
            collector.visit_item(item);
        }
        Ok(id)
    }

    fn add_child(
        &mut self,
        file: &Path,
        folder: &Path,
        parent: ModuleId,
        item: &syn::ItemMod,
        read: Read<'_>,
    ) -> Result<ModuleId> {
        let name = item.ident.unraw().to_string();
        let below = folder.join(&name);
        if let Some((_, items)) = &item.content {
            return self.add(file, &below, Some(parent), items, read);
        }
        if let Some(path) = path_attribute(&item.attrs) {
            let beside = file.parent().context("a file is in a folder")?;
            let file = normal(&beside.join(path));
            let folder = file.parent().map(Path::to_owned).unwrap_or_default();
            return self.read_file(&file, &folder, Some(parent), read);
        }
        for candidate in [folder.join(format!("{name}.rs")), below.join("mod.rs")] {
            if read(&candidate).is_some() {
                return self.read_file(&candidate, &below, Some(parent), read);
            }
        }
        bail!("{}: the module `{name}` has no file", file.display())
    }
}

/// Collects what a module imports and names, its inner modules and tests left out.
struct Collector<'a> {
    module: &'a mut Module,
}

impl Collector<'_> {
    fn mention(&mut self, path: Vec<String>, line: usize, imported: bool, glob: bool) {
        self.module.mentions.push(Mention {
            path,
            line,
            imported,
            glob,
        });
    }

    fn import(&mut self, prefix: &[String], tree: &syn::UseTree, line: usize) {
        let longer = |ident: &syn::Ident| {
            let mut path = prefix.to_vec();
            // `use a::{self}` is `use a`.
            if ident != "self" || path.is_empty() {
                path.push(ident.unraw().to_string());
            }
            path
        };
        let (path, name, glob) = match tree {
            syn::UseTree::Path(tree) => return self.import(&longer(&tree.ident), &tree.tree, line),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(prefix, tree, line);
                }
                return;
            }
            syn::UseTree::Name(name) => {
                let path = longer(&name.ident);
                (path.clone(), path.last().cloned(), false)
            }
            syn::UseTree::Rename(name) => {
                let renamed = name.rename.unraw().to_string();
                (longer(&name.ident), Some(renamed), false)
            }
            syn::UseTree::Glob(_) => (prefix.to_vec(), None, true),
        };
        self.mention(path.clone(), line, true, glob);
        self.module.imports.push(Import { name, path });
    }

    /// Paths among the tokens of a macro or an attribute, which can be anything.
    fn tokens(&mut self, tokens: TokenStream, of_an_attribute: bool) {
        let mut path: Vec<String> = Vec::new();
        let (mut colons, mut line) = (0, 0);
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.end_of_path(&mut path, line);
                        line = ident.span().start().line;
                    }
                    path.push(ident.unraw().to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => {
                    colons += 1;
                }
                other => {
                    self.end_of_path(&mut path, line);
                    colons = 0;
                    match other {
                        TokenTree::Group(group) => self.tokens(group.stream(), of_an_attribute),
                        TokenTree::Literal(literal) if of_an_attribute => {
                            self.path_in_text(literal);
                        }
                        _ => {}
                    }
                }
            }
        }
        self.end_of_path(&mut path, line);
    }

    fn end_of_path(&mut self, path: &mut Vec<String>, line: usize) {
        if !path.is_empty() {
            self.mention(std::mem::take(path), line, false, false);
        }
    }

    /// Some attributes name functions as text: `#[serde(with = "crate::a::b")]`.
    fn path_in_text(&mut self, literal: proc_macro2::Literal) {
        let line = literal.span().start().line;
        if let syn::Lit::Str(text) = syn::Lit::new(literal)
            && let Ok(path) = text.parse::<syn::Path>()
            && path.segments.len() > 1
        {
            self.mention(segments(&path), line, false, false);
        }
    }
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !for_tests(item_attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !for_tests(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    /// A module of its own.
    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {}

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.import(&[], &item.tree, item.span().start().line);
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        let name = item.rename.as_ref().map_or(&item.ident, |(_, name)| name);
        if item.ident == "self" {
            self.module.imports.push(Import {
                name: Some(name.unraw().to_string()),
                path: vec!["crate".to_owned()],
            });
        }
    }

    /// `pub(in crate::a)` says who may use something, which needs nothing of it.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let line = path.span().start().line;
        self.mention(segments(path), line, false, false);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        visit::visit_macro(self, mac);
        self.tokens(mac.tokens.clone(), false);
        if mac.path.is_ident("include")
            && let Ok(text) = mac.parse_body::<syn::LitStr>()
        {
            let beside = self.module.file.parent().unwrap_or(Path::new(""));
            let file = normal(&beside.join(text.value()));
            self.module.includes.push((file, text.span().start().line));
        }
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        visit::visit_attribute(self, attribute);
        if let syn::Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone(), true);
        }
    }
}

fn segments(path: &syn::Path) -> Vec<String> {
    let segments = path.segments.iter();
    segments.map(|it| it.ident.unraw().to_string()).collect()
}

/// Whether something is there in tests only.
fn for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || (attribute.path().is_ident("cfg")
                && attribute
                    .parse_args::<syn::Path>()
                    .is_ok_and(|path| path.is_ident("test")))
    })
}

fn path_attribute(attributes: &[syn::Attribute]) -> Option<String> {
    let attribute = attributes.iter().find(|it| it.path().is_ident("path"))?;
    match &attribute.meta.require_name_value().ok()?.value {
        syn::Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(path),
            ..
        }) => Some(path.value()),
        _ => None,
    }
}

fn item_attributes(item: &syn::Item) -> &[syn::Attribute] {
    use syn::Item;
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The name that an item defines.
fn defined(item: &syn::Item) -> Option<String> {
    use syn::Item;
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.unraw().to_string())
}

/// The path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if normal.pop() => {}
            part => normal.push(part),
        }
    }
    normal
}
