// The Firestore emulator as it comes, on a port of this machine. Usage: node bare.mjs PORT

import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { FirestoreServer } = require("@firestore-emulator/server");
const { ServerCredentials } = require("@grpc/grpc-js");

const { server } = new FirestoreServer();
const address = `127.0.0.1:${process.argv[2]}`;
server.bindAsync(address, ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
  console.log("ready");
});
