//! Services and their methods.

use protobuf::descriptor::{MethodDescriptorProto, ServiceDescriptorProto};

use super::super::parsed::Entity;
use super::super::path;
use super::{Parse, Parser};

impl Parser<'_> {
    pub(super) fn service(&mut self) -> Parse<ServiceDescriptorProto> {
        self.next();
        let (name, token) = self.expect_word("the service's name")?;
        let mut service = ServiceDescriptorProto::new();
        service.set_name(name.to_owned());
        self.locate(&[path::NAME], token.range());
        self.expect_sign(b'{')?;
        while !self.take_sign(b'}') {
            if self.take_sign(b';') {
                continue;
            }
            if self.is("option") {
                let written = self.option_statement()?;
                self.option_of(Entity::Service, written);
            } else if self.is("rpc") {
                let which = service.method.len();
                let method = self.within(path::SERVICE_METHOD, which, Self::method)?;
                service.method.push(method);
            } else {
                return self.unexpected("\"rpc\" or \"option\"");
            }
        }
        Ok(service)
    }

    fn method(&mut self) -> Parse<MethodDescriptorProto> {
        self.next();
        let (name, token) = self.expect_word("the method's name")?;
        let mut method = MethodDescriptorProto::new();
        method.set_name(name.to_owned());
        self.locate(&[path::NAME], token.range());
        let (streams, input) = self.method_type(path::METHOD_INPUT)?;
        method.set_input_type(input);
        if streams {
            method.set_client_streaming(true);
        }
        if !self.take("returns") {
            return self.unexpected("\"returns\"");
        }
        let (streams, output) = self.method_type(path::METHOD_OUTPUT)?;
        method.set_output_type(output);
        if streams {
            method.set_server_streaming(true);
        }
        if !self.take_sign(b'{') {
            self.expect_end()?;
            return Ok(method);
        }
        // Braces without an option leave options behind, too.
        method.options.mut_or_insert_default();
        while !self.take_sign(b'}') {
            if self.take_sign(b';') {
                continue;
            }
            if !self.is("option") {
                return self.unexpected("\"option\" or '}'");
            }
            let written = self.option_statement()?;
            self.option_of(Entity::Method, written);
        }
        Ok(method)
    }

    fn method_type(&mut self, field: i32) -> Parse<(bool, String)> {
        self.expect_sign(b'(')?;
        let streams = self.take("stream");
        let (name, range) = self.type_name("the name of a message")?;
        self.locate(&[field], range);
        self.expect_sign(b')')?;
        Ok((streams, name))
    }
}
