const _: () = ::protobuf::__internal::assert_compatible_gencode_version("0.36.2-release");
// This variable must not be referenced except by protobuf generated
// code.
pub(crate) static mut demo__Person_msg_init: ::protobuf::__internal::runtime::MiniTableInitPtr =
    ::protobuf::__internal::runtime::MiniTableInitPtr(
        ::protobuf::__internal::runtime::MiniTablePtr::dangling(),
    );
#[allow(non_camel_case_types)]
pub struct Person {
    inner: ::protobuf::__internal::runtime::OwnedMessageInner<Person>,
}

impl ::protobuf::Message for Person {
    type MessageView<'msg> = PersonView<'msg>;
    type MessageMut<'msg> = PersonMut<'msg>;
}

impl ::std::default::Default for Person {
    fn default() -> Self {
        Self::new()
    }
}

impl ::std::fmt::Debug for Person {
    fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
        write!(f, "{}", ::protobuf::__internal::runtime::debug_string(self))
    }
}

// SAFETY:
// - `Person` is `Sync` because it does not implement interior mutability.
//    Neither does `PersonMut`.
unsafe impl ::std::marker::Sync for Person {}

// SAFETY:
// - `Person` is `Send` because it uniquely owns its arena and does
//   not use thread-local data.
unsafe impl ::std::marker::Send for Person {}

impl ::protobuf::Proxied for Person {
    type View<'msg> = PersonView<'msg>;
}

impl ::protobuf::__internal::SealedInternal for Person {}

impl ::protobuf::MutProxied for Person {
    type Mut<'msg> = PersonMut<'msg>;
}

#[derive(Copy, Clone)]
#[allow(dead_code)]
pub struct PersonView<'msg> {
    inner: ::protobuf::__internal::runtime::MessageViewInner<'msg, Person>,
}

impl<'msg> ::protobuf::__internal::SealedInternal for PersonView<'msg> {}

impl<'msg> ::protobuf::MessageView<'msg> for PersonView<'msg> {
    type Message = Person;
}

impl ::std::fmt::Debug for PersonView<'_> {
    fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
        write!(f, "{}", ::protobuf::__internal::runtime::debug_string(self))
    }
}

impl ::std::default::Default for PersonView<'_> {
    fn default() -> PersonView<'static> {
        ::protobuf::__internal::runtime::MessageViewInner::default().into()
    }
}

impl<'msg> From<::protobuf::__internal::runtime::MessageViewInner<'msg, Person>>
    for PersonView<'msg>
{
    fn from(inner: ::protobuf::__internal::runtime::MessageViewInner<'msg, Person>) -> Self {
        Self { inner }
    }
}

#[allow(dead_code)]
impl<'msg> PersonView<'msg> {
    pub fn to_owned(&self) -> Person {
        ::protobuf::IntoProxied::into_proxied(*self, ::protobuf::__internal::Private)
    }

    // id: optional int64
    pub fn id(self) -> i64 {
        unsafe {
            // TODO: b/361751487: This .into() and .try_into() is only
            // here for the enum<->i32 case, we should avoid it for
            // other primitives where the types naturally match
            // perfectly (and do an unchecked conversion for
            // i32->enum types, since even for closed enums we trust
            // upb to only return one of the named values).
            self.inner
                .ptr()
                .get_i64_at_index(0, (0i64).into())
                .try_into()
                .unwrap()
        }
    }

    // name: optional string
    pub fn name(self) -> ::protobuf::View<'msg, ::protobuf::ProtoString> {
        let str_view = unsafe { self.inner.ptr().get_string_at_index(1, (b"").into()) };
        ::protobuf::ProtoStr::from_utf8_unchecked(unsafe { str_view.as_ref() })
    }

    // email: optional string
    pub fn email(self) -> ::protobuf::View<'msg, ::protobuf::ProtoString> {
        let str_view = unsafe { self.inner.ptr().get_string_at_index(2, (b"").into()) };
        ::protobuf::ProtoStr::from_utf8_unchecked(unsafe { str_view.as_ref() })
    }

    // scores: repeated int32
    pub fn scores(self) -> ::protobuf::RepeatedView<'msg, i32> {
        unsafe { self.inner.ptr().get_array_at_index(3) }.map_or_else(
            ::protobuf::__internal::runtime::empty_array::<i32>,
            |raw| unsafe {
                ::protobuf::RepeatedView::from_raw(::protobuf::__internal::Private, raw)
            },
        )
    }

    // active: optional bool
    pub fn active(self) -> bool {
        unsafe {
            // TODO: b/361751487: This .into() and .try_into() is only
            // here for the enum<->i32 case, we should avoid it for
            // other primitives where the types naturally match
            // perfectly (and do an unchecked conversion for
            // i32->enum types, since even for closed enums we trust
            // upb to only return one of the named values).
            self.inner
                .ptr()
                .get_bool_at_index(4, (false).into())
                .try_into()
                .unwrap()
        }
    }

    // height: optional double
    pub fn height(self) -> f64 {
        unsafe {
            // TODO: b/361751487: This .into() and .try_into() is only
            // here for the enum<->i32 case, we should avoid it for
            // other primitives where the types naturally match
            // perfectly (and do an unchecked conversion for
            // i32->enum types, since even for closed enums we trust
            // upb to only return one of the named values).
            self.inner
                .ptr()
                .get_f64_at_index(5, (0f64).into())
                .try_into()
                .unwrap()
        }
    }

    // friends: repeated message demo.Person
    pub fn friends(self) -> ::protobuf::RepeatedView<'msg, super::demo_proto::Person> {
        unsafe { self.inner.ptr().get_array_at_index(6) }.map_or_else(
            ::protobuf::__internal::runtime::empty_array::<super::demo_proto::Person>,
            |raw| unsafe {
                ::protobuf::RepeatedView::from_raw(::protobuf::__internal::Private, raw)
            },
        )
    }
}

// SAFETY:
// - `PersonView` is `Sync` because it does not support mutation.
unsafe impl ::std::marker::Sync for PersonView<'_> {}

// SAFETY:
// - `PersonView` is `Send` because while its alive a `PersonMut` cannot.
// - `PersonView` does not use thread-local data.
unsafe impl ::std::marker::Send for PersonView<'_> {}

impl<'msg> ::protobuf::AsView for PersonView<'msg> {
    type Proxied = Person;
    fn as_view(&self) -> ::protobuf::View<'msg, Person> {
        *self
    }
}

impl<'msg> ::protobuf::IntoView<'msg> for PersonView<'msg> {
    fn into_view<'shorter>(self) -> PersonView<'shorter>
    where
        'msg: 'shorter,
    {
        self
    }
}

impl<'msg> ::protobuf::IntoProxied<Person> for PersonView<'msg> {
    fn into_proxied(self, _private: ::protobuf::__internal::Private) -> Person {
        let mut dst = Person::new();
        assert!(unsafe {
            dst.inner
                .ptr_mut()
                .deep_copy(self.inner.ptr(), dst.inner.arena())
        });
        dst
    }
}

impl<'msg> ::protobuf::IntoProxied<Person> for PersonMut<'msg> {
    fn into_proxied(self, _private: ::protobuf::__internal::Private) -> Person {
        ::protobuf::IntoProxied::into_proxied(::protobuf::IntoView::into_view(self), _private)
    }
}

impl ::protobuf::__internal::EntityType for Person {
    type Tag = ::protobuf::__internal::entity_tag::MessageTag;
}

impl<'msg> ::protobuf::__internal::EntityType for PersonView<'msg> {
    type Tag = ::protobuf::__internal::entity_tag::ViewProxyTag;
}

impl<'msg> ::protobuf::__internal::EntityType for PersonMut<'msg> {
    type Tag = ::protobuf::__internal::entity_tag::MutProxyTag;
}

#[allow(dead_code)]
#[allow(non_camel_case_types)]
pub struct PersonMut<'msg> {
    inner: ::protobuf::__internal::runtime::MessageMutInner<'msg, Person>,
}

impl<'msg> ::protobuf::__internal::SealedInternal for PersonMut<'msg> {}

impl<'msg> ::protobuf::MessageMut<'msg> for PersonMut<'msg> {
    type Message = Person;
}

impl ::std::fmt::Debug for PersonMut<'_> {
    fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
        write!(f, "{}", ::protobuf::__internal::runtime::debug_string(self))
    }
}

impl<'msg> From<::protobuf::__internal::runtime::MessageMutInner<'msg, Person>>
    for PersonMut<'msg>
{
    fn from(inner: ::protobuf::__internal::runtime::MessageMutInner<'msg, Person>) -> Self {
        Self { inner }
    }
}

#[allow(dead_code)]
impl<'msg> PersonMut<'msg> {
    #[doc(hidden)]
    pub fn as_message_mut_inner(
        &mut self,
        _private: ::protobuf::__internal::Private,
    ) -> ::protobuf::__internal::runtime::MessageMutInner<'msg, Person> {
        self.inner.reborrow()
    }

    pub fn to_owned(&self) -> Person {
        ::protobuf::AsView::as_view(self).to_owned()
    }

    // id: optional int64
    pub fn id(&self) -> i64 {
        unsafe {
            // TODO: b/361751487: This .into() and .try_into() is only
            // here for the enum<->i32 case, we should avoid it for
            // other primitives where the types naturally match
            // perfectly (and do an unchecked conversion for
            // i32->enum types, since even for closed enums we trust
            // upb to only return one of the named values).
            self.inner
                .ptr()
                .get_i64_at_index(0, (0i64).into())
                .try_into()
                .unwrap()
        }
    }
    pub fn set_id(&mut self, val: i64) {
        unsafe {
            // TODO: b/361751487: This .into() is only here
            // here for the enum<->i32 case, we should avoid it for
            // other primitives where the types naturally match
            //perfectly.
            self.inner
                .ptr_mut()
                .set_base_field_i64_at_index(0, val.into())
        }
    }

    // name: optional string
    pub fn name(&self) -> ::protobuf::View<'_, ::protobuf::ProtoString> {
        let str_view = unsafe { self.inner.ptr().get_string_at_index(1, (b"").into()) };
        ::protobuf::ProtoStr::from_utf8_unchecked(unsafe { str_view.as_ref() })
    }
    pub fn set_name(&mut self, val: impl ::protobuf::IntoProxied<::protobuf::ProtoString>) {
        unsafe {
            ::protobuf::__internal::runtime::message_set_string_field(
                ::protobuf::AsMut::as_mut(self).inner,
                1,
                val,
            );
        }
    }

    // email: optional string
    pub fn email(&self) -> ::protobuf::View<'_, ::protobuf::ProtoString> {
        let str_view = unsafe { self.inner.ptr().get_string_at_index(2, (b"").into()) };
        ::protobuf::ProtoStr::from_utf8_unchecked(unsafe { str_view.as_ref() })
    }
    pub fn set_email(&mut self, val: impl ::protobuf::IntoProxied<::protobuf::ProtoString>) {
        unsafe {
            ::protobuf::__internal::runtime::message_set_string_field(
                ::protobuf::AsMut::as_mut(self).inner,
                2,
                val,
            );
        }
    }

    // scores: repeated int32
    pub fn scores(&self) -> ::protobuf::RepeatedView<'_, i32> {
        unsafe { self.inner.ptr().get_array_at_index(3) }.map_or_else(
            ::protobuf::__internal::runtime::empty_array::<i32>,
            |raw| unsafe {
                ::protobuf::RepeatedView::from_raw(::protobuf::__internal::Private, raw)
            },
        )
    }
    pub fn scores_mut(&mut self) -> ::protobuf::RepeatedMut<'_, i32> {
        unsafe {
            let raw_array = self
                .inner
                .ptr_mut()
                .get_or_create_mutable_array_at_index(3, self.inner.arena())
                .expect("alloc should not fail");
            ::protobuf::RepeatedMut::from_inner(
                ::protobuf::__internal::Private,
                ::protobuf::__internal::runtime::InnerRepeatedMut::new(
                    raw_array,
                    self.inner.arena(),
                ),
            )
        }
    }
    pub fn set_scores(&mut self, src: impl ::protobuf::IntoProxied<::protobuf::Repeated<i32>>) {
        unsafe {
            ::protobuf::__internal::runtime::message_set_repeated_field(
                ::protobuf::AsMut::as_mut(self).inner,
                3,
                src,
            );
        }
    }

    // active: optional bool
    pub fn active(&self) -> bool {
        unsafe {
            // TODO: b/361751487: This .into() and .try_into() is only
            // here for the enum<->i32 case, we should avoid it for
            // other primitives where the types naturally match
            // perfectly (and do an unchecked conversion for
            // i32->enum types, since even for closed enums we trust
            // upb to only return one of the named values).
            self.inner
                .ptr()
                .get_bool_at_index(4, (false).into())
                .try_into()
                .unwrap()
        }
    }
    pub fn set_active(&mut self, val: bool) {
        unsafe {
            // TODO: b/361751487: This .into() is only here
            // here for the enum<->i32 case, we should avoid it for
            // other primitives where the types naturally match
            //perfectly.
            self.inner
                .ptr_mut()
                .set_base_field_bool_at_index(4, val.into())
        }
    }

    // height: optional double
    pub fn height(&self) -> f64 {
        unsafe {
            // TODO: b/361751487: This .into() and .try_into() is only
            // here for the enum<->i32 case, we should avoid it for
            // other primitives where the types naturally match
            // perfectly (and do an unchecked conversion for
            // i32->enum types, since even for closed enums we trust
            // upb to only return one of the named values).
            self.inner
                .ptr()
                .get_f64_at_index(5, (0f64).into())
                .try_into()
                .unwrap()
        }
    }
    pub fn set_height(&mut self, val: f64) {
        unsafe {
            // TODO: b/361751487: This .into() is only here
            // here for the enum<->i32 case, we should avoid it for
            // other primitives where the types naturally match
            //perfectly.
            self.inner
                .ptr_mut()
                .set_base_field_f64_at_index(5, val.into())
        }
    }

    // friends: repeated message demo.Person
    pub fn friends(&self) -> ::protobuf::RepeatedView<'_, super::demo_proto::Person> {
        unsafe { self.inner.ptr().get_array_at_index(6) }.map_or_else(
            ::protobuf::__internal::runtime::empty_array::<super::demo_proto::Person>,
            |raw| unsafe {
                ::protobuf::RepeatedView::from_raw(::protobuf::__internal::Private, raw)
            },
        )
    }
    pub fn friends_mut(&mut self) -> ::protobuf::RepeatedMut<'_, super::demo_proto::Person> {
        unsafe {
            let raw_array = self
                .inner
                .ptr_mut()
                .get_or_create_mutable_array_at_index(6, self.inner.arena())
                .expect("alloc should not fail");
            ::protobuf::RepeatedMut::from_inner(
                ::protobuf::__internal::Private,
                ::protobuf::__internal::runtime::InnerRepeatedMut::new(
                    raw_array,
                    self.inner.arena(),
                ),
            )
        }
    }
    pub fn set_friends(
        &mut self,
        src: impl ::protobuf::IntoProxied<::protobuf::Repeated<super::demo_proto::Person>>,
    ) {
        unsafe {
            ::protobuf::__internal::runtime::message_set_repeated_field(
                ::protobuf::AsMut::as_mut(self).inner,
                6,
                src,
            );
        }
    }
}

// SAFETY:
// - `PersonMut` does not perform any shared mutation.
unsafe impl ::std::marker::Send for PersonMut<'_> {}

// SAFETY:
// - `PersonMut` does not perform any shared mutation.
unsafe impl ::std::marker::Sync for PersonMut<'_> {}

impl<'msg> ::protobuf::AsView for PersonMut<'msg> {
    type Proxied = Person;
    fn as_view(&self) -> ::protobuf::View<'_, Person> {
        self.inner.as_view().into()
    }
}

impl<'msg> ::protobuf::IntoView<'msg> for PersonMut<'msg> {
    fn into_view<'shorter>(self) -> ::protobuf::View<'shorter, Person>
    where
        'msg: 'shorter,
    {
        self.inner.as_view().into()
    }
}

impl<'msg> ::protobuf::AsMut for PersonMut<'msg> {
    type MutProxied = Person;
    fn as_mut(&mut self) -> PersonMut<'msg> {
        self.inner.reborrow().into()
    }
}

impl<'msg> ::protobuf::IntoMut<'msg> for PersonMut<'msg> {
    fn into_mut<'shorter>(self) -> PersonMut<'shorter>
    where
        'msg: 'shorter,
    {
        self
    }
}

#[allow(dead_code)]
impl Person {
    pub fn new() -> Self {
        Self {
            inner: ::protobuf::__internal::runtime::OwnedMessageInner::<Self>::new(),
        }
    }

    #[doc(hidden)]
    pub fn as_message_mut_inner(
        &mut self,
        _private: ::protobuf::__internal::Private,
    ) -> ::protobuf::__internal::runtime::MessageMutInner<'_, Person> {
        ::protobuf::__internal::runtime::MessageMutInner::mut_of_owned(&mut self.inner)
    }

    pub fn as_view(&self) -> PersonView<'_> {
        ::protobuf::__internal::runtime::MessageViewInner::view_of_owned(&self.inner).into()
    }

    pub fn as_mut(&mut self) -> PersonMut<'_> {
        ::protobuf::__internal::runtime::MessageMutInner::mut_of_owned(&mut self.inner).into()
    }

    // id: optional int64
    pub fn id(&self) -> i64 {
        unsafe {
            // TODO: b/361751487: This .into() and .try_into() is only
            // here for the enum<->i32 case, we should avoid it for
            // other primitives where the types naturally match
            // perfectly (and do an unchecked conversion for
            // i32->enum types, since even for closed enums we trust
            // upb to only return one of the named values).
            self.inner
                .ptr()
                .get_i64_at_index(0, (0i64).into())
                .try_into()
                .unwrap()
        }
    }
    pub fn set_id(&mut self, val: i64) {
        unsafe {
            // TODO: b/361751487: This .into() is only here
            // here for the enum<->i32 case, we should avoid it for
            // other primitives where the types naturally match
            //perfectly.
            self.inner
                .ptr_mut()
                .set_base_field_i64_at_index(0, val.into())
        }
    }

    // name: optional string
    pub fn name(&self) -> ::protobuf::View<'_, ::protobuf::ProtoString> {
        let str_view = unsafe { self.inner.ptr().get_string_at_index(1, (b"").into()) };
        ::protobuf::ProtoStr::from_utf8_unchecked(unsafe { str_view.as_ref() })
    }
    pub fn set_name(&mut self, val: impl ::protobuf::IntoProxied<::protobuf::ProtoString>) {
        unsafe {
            ::protobuf::__internal::runtime::message_set_string_field(
                ::protobuf::AsMut::as_mut(self).inner,
                1,
                val,
            );
        }
    }

    // email: optional string
    pub fn email(&self) -> ::protobuf::View<'_, ::protobuf::ProtoString> {
        let str_view = unsafe { self.inner.ptr().get_string_at_index(2, (b"").into()) };
        ::protobuf::ProtoStr::from_utf8_unchecked(unsafe { str_view.as_ref() })
    }
    pub fn set_email(&mut self, val: impl ::protobuf::IntoProxied<::protobuf::ProtoString>) {
        unsafe {
            ::protobuf::__internal::runtime::message_set_string_field(
                ::protobuf::AsMut::as_mut(self).inner,
                2,
                val,
            );
        }
    }

    // scores: repeated int32
    pub fn scores(&self) -> ::protobuf::RepeatedView<'_, i32> {
        unsafe { self.inner.ptr().get_array_at_index(3) }.map_or_else(
            ::protobuf::__internal::runtime::empty_array::<i32>,
            |raw| unsafe {
                ::protobuf::RepeatedView::from_raw(::protobuf::__internal::Private, raw)
            },
        )
    }
    pub fn scores_mut(&mut self) -> ::protobuf::RepeatedMut<'_, i32> {
        unsafe {
            let raw_array = self
                .inner
                .ptr_mut()
                .get_or_create_mutable_array_at_index(3, self.inner.arena())
                .expect("alloc should not fail");
            ::protobuf::RepeatedMut::from_inner(
                ::protobuf::__internal::Private,
                ::protobuf::__internal::runtime::InnerRepeatedMut::new(
                    raw_array,
                    self.inner.arena(),
                ),
            )
        }
    }
    pub fn set_scores(&mut self, src: impl ::protobuf::IntoProxied<::protobuf::Repeated<i32>>) {
        unsafe {
            ::protobuf::__internal::runtime::message_set_repeated_field(
                ::protobuf::AsMut::as_mut(self).inner,
                3,
                src,
            );
        }
    }

    // active: optional bool
    pub fn active(&self) -> bool {
        unsafe {
            // TODO: b/361751487: This .into() and .try_into() is only
            // here for the enum<->i32 case, we should avoid it for
            // other primitives where the types naturally match
            // perfectly (and do an unchecked conversion for
            // i32->enum types, since even for closed enums we trust
            // upb to only return one of the named values).
            self.inner
                .ptr()
                .get_bool_at_index(4, (false).into())
                .try_into()
                .unwrap()
        }
    }
    pub fn set_active(&mut self, val: bool) {
        unsafe {
            // TODO: b/361751487: This .into() is only here
            // here for the enum<->i32 case, we should avoid it for
            // other primitives where the types naturally match
            //perfectly.
            self.inner
                .ptr_mut()
                .set_base_field_bool_at_index(4, val.into())
        }
    }

    // height: optional double
    pub fn height(&self) -> f64 {
        unsafe {
            // TODO: b/361751487: This .into() and .try_into() is only
            // here for the enum<->i32 case, we should avoid it for
            // other primitives where the types naturally match
            // perfectly (and do an unchecked conversion for
            // i32->enum types, since even for closed enums we trust
            // upb to only return one of the named values).
            self.inner
                .ptr()
                .get_f64_at_index(5, (0f64).into())
                .try_into()
                .unwrap()
        }
    }
    pub fn set_height(&mut self, val: f64) {
        unsafe {
            // TODO: b/361751487: This .into() is only here
            // here for the enum<->i32 case, we should avoid it for
            // other primitives where the types naturally match
            //perfectly.
            self.inner
                .ptr_mut()
                .set_base_field_f64_at_index(5, val.into())
        }
    }

    // friends: repeated message demo.Person
    pub fn friends(&self) -> ::protobuf::RepeatedView<'_, super::demo_proto::Person> {
        unsafe { self.inner.ptr().get_array_at_index(6) }.map_or_else(
            ::protobuf::__internal::runtime::empty_array::<super::demo_proto::Person>,
            |raw| unsafe {
                ::protobuf::RepeatedView::from_raw(::protobuf::__internal::Private, raw)
            },
        )
    }
    pub fn friends_mut(&mut self) -> ::protobuf::RepeatedMut<'_, super::demo_proto::Person> {
        unsafe {
            let raw_array = self
                .inner
                .ptr_mut()
                .get_or_create_mutable_array_at_index(6, self.inner.arena())
                .expect("alloc should not fail");
            ::protobuf::RepeatedMut::from_inner(
                ::protobuf::__internal::Private,
                ::protobuf::__internal::runtime::InnerRepeatedMut::new(
                    raw_array,
                    self.inner.arena(),
                ),
            )
        }
    }
    pub fn set_friends(
        &mut self,
        src: impl ::protobuf::IntoProxied<::protobuf::Repeated<super::demo_proto::Person>>,
    ) {
        unsafe {
            ::protobuf::__internal::runtime::message_set_repeated_field(
                ::protobuf::AsMut::as_mut(self).inner,
                6,
                src,
            );
        }
    }
} // impl Person

impl ::std::ops::Drop for Person {
    #[inline]
    fn drop(&mut self) {}
}

impl ::std::clone::Clone for Person {
    fn clone(&self) -> Self {
        self.as_view().to_owned()
    }
}

impl ::protobuf::AsView for Person {
    type Proxied = Self;
    fn as_view(&self) -> PersonView<'_> {
        self.as_view()
    }
}

impl ::protobuf::AsMut for Person {
    type MutProxied = Self;
    fn as_mut(&mut self) -> PersonMut<'_> {
        self.as_mut()
    }
}

unsafe impl ::protobuf::__internal::runtime::AssociatedMiniTable for Person {
    fn mini_table() -> ::protobuf::__internal::runtime::MiniTablePtr {
        static ONCE_LOCK: ::std::sync::OnceLock<::protobuf::__internal::runtime::MiniTableInitPtr> =
            ::std::sync::OnceLock::new();
        unsafe {
            ONCE_LOCK
                .get_or_init(|| {
                    super::demo_proto::demo__Person_msg_init.0 =
                        ::protobuf::__internal::runtime::build_mini_table("$N+P1X1X</P PG");
                    ::protobuf::__internal::runtime::link_mini_table(
                        super::demo_proto::demo__Person_msg_init.0,
                        &[super::demo_proto::demo__Person_msg_init.0],
                        &[],
                    );
                    ::protobuf::__internal::runtime::MiniTableInitPtr(
                        super::demo_proto::demo__Person_msg_init.0,
                    )
                })
                .0
        }
    }
}
unsafe impl ::protobuf::__internal::runtime::UpbGetArena for Person {
    fn get_arena(
        &mut self,
        _private: ::protobuf::__internal::Private,
    ) -> &::protobuf::__internal::runtime::Arena {
        self.inner.arena()
    }
}

unsafe impl ::protobuf::__internal::runtime::UpbGetMessagePtrMut for Person {
    type Msg = Person;
    fn get_ptr_mut(
        &mut self,
        _private: ::protobuf::__internal::Private,
    ) -> ::protobuf::__internal::runtime::MessagePtr<Person> {
        self.inner.ptr_mut()
    }
}
unsafe impl ::protobuf::__internal::runtime::UpbGetMessagePtr for Person {
    type Msg = Person;
    fn get_ptr(
        &self,
        _private: ::protobuf::__internal::Private,
    ) -> ::protobuf::__internal::runtime::MessagePtr<Person> {
        self.inner.ptr()
    }
}
unsafe impl ::protobuf::__internal::runtime::UpbGetMessagePtrMut for PersonMut<'_> {
    type Msg = Person;
    fn get_ptr_mut(
        &mut self,
        _private: ::protobuf::__internal::Private,
    ) -> ::protobuf::__internal::runtime::MessagePtr<Person> {
        self.inner.ptr_mut()
    }
}
unsafe impl ::protobuf::__internal::runtime::UpbGetMessagePtr for PersonMut<'_> {
    type Msg = Person;
    fn get_ptr(
        &self,
        _private: ::protobuf::__internal::Private,
    ) -> ::protobuf::__internal::runtime::MessagePtr<Person> {
        self.inner.ptr()
    }
}
unsafe impl ::protobuf::__internal::runtime::UpbGetMessagePtr for PersonView<'_> {
    type Msg = Person;
    fn get_ptr(
        &self,
        _private: ::protobuf::__internal::Private,
    ) -> ::protobuf::__internal::runtime::MessagePtr<Person> {
        self.inner.ptr()
    }
}

unsafe impl ::protobuf::__internal::runtime::UpbGetArena for PersonMut<'_> {
    fn get_arena(
        &mut self,
        _private: ::protobuf::__internal::Private,
    ) -> &::protobuf::__internal::runtime::Arena {
        self.inner.arena()
    }
}
