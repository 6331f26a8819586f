//! The methods that all handles have.

/// Gives a type of handle its methods, each of which goes through its `view` or its `access`. They are
/// written once, and are each type's own, so that no trait has to be imported to call them.
macro_rules! calls {
    ($handle:ty) => {
        impl $handle {
            /// The identity of the instance, read from its store. Two handles reach the same
            /// instance if and only if their ids are equal.
            pub fn store_id(&self) -> StoreId {
                self.view().id
            }

            /// Whether the instance can still run anything.
            pub fn is_live(&self) -> bool {
                self.view().live
            }

            /// Runs a chunk or a bare expression and returns its value.
            ///
            /// # Errors
            ///
            /// `Syntax`, `Script` or `Denied` as the script has it; `Value` when its result has no
            /// JSON counterpart or isn't an `R`; `Timeout`, `Cancelled`, `OutOfFuel`,
            /// `TooManyHostCalls`, `OutOfMemory` when it was stopped; `HostPanic`, `Poisoned`,
            /// `Reentrant`, `Options`, `Internal`.
            pub fn eval<'c, R: DeserializeOwned>(
                &mut self,
                chunk: impl Into<Chunk<'c>>,
            ) -> Result<R> {
                let chunk = chunk.into();
                self.access()
                    .with(|instance, terms| instance.eval(terms, &chunk, None::<&()>))
            }

            /// Runs a chunk or a bare expression that sees `state` as a local of that name.
            ///
            /// # Errors
            ///
            /// As [`eval`](Self::eval), and `Value` when Lua can't hold `state`.
            pub fn eval_with<'c, S, R>(
                &mut self,
                chunk: impl Into<Chunk<'c>>,
                state: &S,
            ) -> Result<R>
            where
                S: Serialize + ?Sized,
                R: DeserializeOwned,
            {
                let chunk = chunk.into();
                self.access()
                    .with(|instance, terms| instance.eval(terms, &chunk, Some(state)))
            }

            /// Sees whether a chunk or a bare expression parses, and runs nothing.
            ///
            /// # Errors
            ///
            /// `Syntax` when it doesn't, and what may stop any call: see [`eval`](Self::eval).
            pub fn check<'c>(&mut self, chunk: impl Into<Chunk<'c>>) -> Result<()> {
                let chunk = chunk.into();
                self.access()
                    .with(|instance, terms| instance.check(terms, &chunk))
            }

            /// Runs a chunk for what it does. What it returns is dropped, but has to have a JSON
            /// counterpart as for [`eval`](Self::eval).
            ///
            /// # Errors
            ///
            /// As [`eval`](Self::eval).
            pub fn exec<'c>(&mut self, chunk: impl Into<Chunk<'c>>) -> Result<()> {
                let chunk = chunk.into().without_value();
                self.access()
                    .with(|instance, terms| instance.exec(terms, &chunk))
            }

            /// Calls a function that the instance knows by its global name or a dotted path, with
            /// the elements of `args`: a tuple, an array, a slice.
            ///
            /// # Errors
            ///
            /// As [`eval_with`](Self::eval_with), and `NotCallable` when there is no such function.
            pub fn call<A, R>(&mut self, path: &str, args: &A) -> Result<R>
            where
                A: Serialize + ?Sized,
                R: DeserializeOwned,
            {
                self.access()
                    .with(|instance, terms| instance.call(terms, path, args))
            }

            /// The value of a global; an absent one is null.
            ///
            /// # Errors
            ///
            /// As [`eval`](Self::eval).
            pub fn global<R: DeserializeOwned>(&mut self, name: &str) -> Result<R> {
                self.access()
                    .with(|instance, terms| instance.get(terms, name))
            }

            /// Sets a global; null removes it.
            ///
            /// # Errors
            ///
            /// As [`eval_with`](Self::eval_with).
            pub fn set_global<V: Serialize + ?Sized>(
                &mut self,
                name: &str,
                value: &V,
            ) -> Result<()> {
                self.access()
                    .with(|instance, terms| instance.set(terms, name, value))
            }

            /// The same instance on narrower terms, for the calls made through the result: limits,
            /// a deadline, a way to stop them, a part of its grants.
            ///
            /// Calls fail with `Options` when the terms aren't narrower.
            pub fn with<'h>(&'h mut self, options: &'h RunOptions) -> With<'h> {
                self.access().narrowed(options)
            }

            /// What the calls since the last report cost; what they printed is taken with it.
            ///
            /// In a host function that the instance itself is calling there is nothing to be had yet.
            pub fn take_report(&mut self) -> Report {
                let (id, role) = (self.store_id(), self.role());
                let taken = self
                    .access()
                    .with(|instance, _| Ok(instance.take_report(role)));
                taken.unwrap_or_else(|_| Report::empty(id, role))
            }

            /// The journal that the instance has kept, if it was made to keep one
            /// ([`RunOptions::journal`](crate::RunOptions::journal)); it ends with that, and there is nothing
            /// the next time. Also of an instance that was stopped.
            pub fn take_journal(&mut self) -> Option<$crate::Journal> {
                let taken = self
                    .access()
                    .with(|instance, _| Ok(instance.take_journal()));
                taken.unwrap_or_default()
            }

            /// What was printed since the last time this was called.
            pub fn take_output(&mut self) -> Output {
                let taken = self.access().with(|instance, _| Ok(instance.take_output()));
                taken.unwrap_or_default()
            }
        }

        impl fmt::Debug for $handle {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let View { id, live, .. } = self.view();
                f.debug_struct(stringify!($handle))
                    .field("store_id", &id.get())
                    .field("live", &live)
                    .finish()
            }
        }

        #[cfg(feature = "testing")]
        impl Inspect for $handle {
            fn memory_base(&self) -> Option<usize> {
                self.view().memory_base
            }
        }
    };
}

pub(super) use calls;
