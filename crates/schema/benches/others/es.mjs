// Measures protovalidate-es on the messages of rules.proto: es.mjs DESCRIPTORS
import { readFileSync } from "node:fs";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { createValidator } from "@bufbuild/protovalidate";

const payload = Buffer.from(
  "08960110c0c407182a20e80728413100000000000029403d0000803f420c416461204c6f76656c6163654a0f616461406578616d706c652e6f7267520461626364",
  "hex",
);
const set = fromBinary(FileDescriptorSetSchema, readFileSync(process.argv[2]));
const registry = createFileRegistry(set);
const validator = createValidator({ registry });
for (const name of ["Standard", "Cel"]) {
  const schema = registry.getMessage(`t.${name}`);
  const message = fromBinary(schema, payload);
  const once = () => {
    if (validator.validate(schema, message).kind !== "valid") throw new Error(name);
  };
  for (let turn = 0; turn < 50_000; turn++) once();
  const rounds = [];
  for (let round = 0; round < 11; round++) {
    const start = process.hrtime.bigint();
    for (let turn = 0; turn < 20_000; turn++) once();
    rounds.push(Number(process.hrtime.bigint() - start) / 20_000);
  }
  rounds.sort((one, other) => one - other);
  console.log(`| protovalidate-es | ${name} | ${rounds[5].toFixed(0)} ns |`);
}
