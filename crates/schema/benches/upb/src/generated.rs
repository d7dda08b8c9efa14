#[path = "demo.u.pb.rs"]
#[allow(nonstandard_style, unused)]
pub mod demo_proto;
#[allow(nonstandard_style, unused)]
#[doc(inline)]
pub use demo_proto::*;
#[allow(nonstandard_style, unused)]
pub mod __unstable {
    pub static DEMO_DESCRIPTOR_INFO: ::protobuf::__internal::runtime::__unstable::DescriptorInfo = ::protobuf::__internal::runtime::__unstable::DescriptorInfo {
  descriptor: b"\n\ndemo.proto\x12\x04\x64\x65mo\"\x80\x01\n\x06Person\x12\n\n\x02id\x18\x01 \x01(\x03\x12\x0c\n\x04name\x18\x02 \x01(\t\x12\r\n\x05\x65mail\x18\x03 \x01(\t\x12\x0e\n\x06scores\x18\x04 \x03(\x05\x12\x0e\n\x06\x61\x63tive\x18\x05 \x01(\x08\x12\x0e\n\x06height\x18\x06 \x01(\x01\x12\x1d\n\x07\x66riends\x18\x07 \x03(\x0b\x32\x0c.demo.Personb\x06proto3",
  deps: &[
  ],
};
}
