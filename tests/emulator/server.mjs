// The Firestore emulator on a port of this machine, with what it lacks and the store relies on:
// commits that apply whole or not at all, times of writes as preconditions, increments of fields inside maps, fields inside maps in
// queries, cursors, and large collections. Usage: node server.mjs PORT

import { createRequire } from "node:module";

// One copy of each class: the package's own build loads the CommonJS ones.
const require = createRequire(import.meta.url);
const { FirestoreServer, FirestoreState, FirestoreStateCollection, FirestoreStateDocument } =
  require("@firestore-emulator/server");
const { ServerCredentials } = require("@grpc/grpc-js");

const NOT_FOUND = 5;
const ALREADY_EXISTS = 6;
const FAILED_PRECONDITION = 9;
const UNKNOWN = 2;

// A field path's segments: `labels.\`U.S.\`` is ["labels", "U.S."].
function segments(path) {
  const found = [...path.matchAll(/`((?:[^`\\]|\\.)*)`|([^.`]+)/g)];
  return found.map(([, quoted, bare]) => bare ?? quoted.replace(/\\(.)/g, "$1"));
}

function valueAt(document, path) {
  const [first, ...rest] = segments(path);
  return rest.reduce((field, key) => field?.value?.[key], document.fields[first]);
}

FirestoreStateDocument.prototype.getField = function (path) {
  return valueAt(this, path);
};

// Its own copies the whole collection for each new document.
FirestoreStateCollection.prototype.getDocument = function (name) {
  if (!Object.hasOwn(this.documents, name)) {
    this.documents[name] = new FirestoreStateDocument(
      this.emitter, this.database, this, name, {}, {},
    );
  }
  return this.documents[name];
};

const ownTransform = FirestoreStateDocument.prototype.v1Transform;
FirestoreStateDocument.prototype.v1Transform = function (date, transforms) {
  const nested = transforms.filter((each) => segments(each.field_path).length > 1);
  // What is no number is replaced by the increment.
  for (const { field_path, has_increment } of transforms) {
    const field = this.fields[field_path];
    if (has_increment && field && typeof field.value !== "number") {
      this.set(date, { [field_path]: new Integer(0) }, [field_path]);
    }
  }
  ownTransform.call(this, date, transforms.filter((each) => !nested.includes(each)));
  const increments = new Map();
  for (const each of nested) {
    const [map, key] = segments(each.field_path);
    if (!increments.has(map)) increments.set(map, []);
    increments.get(map).push([key, each.increment.integer_value]);
  }
  for (const [map, changes] of increments) {
    const before = this.fields[map];
    const fields = before instanceof MapField ? { ...before.value } : {};
    for (const [key, by] of changes) fields[key] = new Integer((fields[key]?.value ?? 0) + by);
    this.set(date, { [map]: new MapField(fields) }, [map]);
  }
};

const ownQuery = FirestoreState.prototype.v1Query;
FirestoreState.prototype.v1Query = function (parent, query) {
  const limit = query.has_limit ? query.limit.value : Infinity;
  query.limit = undefined;
  const fields = query.order_by.map(({ field }) => field.field_path);
  const down = query.order_by.map(({ direction }) => direction === 2);
  const cursor = query.has_start_at
    ? query.start_at.values.map((value) => value.integer_value || value.string_value || 0)
    : [];
  // What an index leaves out: documents without one of the fields. Strings go by UTF-8.
  const found = ownQuery
    .call(this, parent, query)
    .filter((document) => fields.every((path) => path === "__name__" || valueAt(document, path)));
  const place = (document, i) => valueAt(document, fields[i])?.value ?? document.getPath();
  const compare = (a, b, i) =>
    (typeof a === "string" ? Buffer.compare(Buffer.from(a), Buffer.from(b)) : a - b) *
    (down[i] ? -1 : 1);
  found.sort((a, b) => {
    for (let i = 0; i < fields.length; i++) {
      const order = compare(place(a, i), place(b, i), i);
      if (order) return order;
    }
    return 0;
  });
  const behind = (document) => {
    for (let i = 0; i < cursor.length; i++) {
      const order = compare(place(document, i), cursor[i], i);
      if (order) return order > 0;
    }
    return cursor.length === 0 || query.start_at.before;
  };
  return found.filter(behind).slice(0, limit);
};

const server = new FirestoreServer();
const { state } = server;
const root = "projects/classes/databases/(default)/documents";

// The field classes are not exported: take them from a document.
const { Write } = require("@firestore-emulator/proto/dist/google/firestore/v1/write");
const { Timestamp } = require("@firestore-emulator/proto/dist/google/protobuf/timestamp");
const integer = { integer_value: 1 };
const fields = { map: { map_value: { fields: { integer } } } };
state.writeV1Document(new Date(), Write.fromObject({ update: { name: `${root}/a/b`, fields } }));
const { map } = state.getDocument(`${root}/a/b`).fields;
const MapField = map.constructor;
const Integer = map.value.integer.constructor;
state.clear();

// No two commits have the same time.
const ownWrite = FirestoreState.prototype.writeV1Document;
let commitDate, commitTime;
FirestoreState.prototype.writeV1Document = function (date, write) {
  if (date !== commitDate) {
    commitDate = date;
    commitTime = new Date(Math.max(date.getTime(), (commitTime?.getTime() ?? 0) + 1));
  }
  if (write.has_current_document && write.current_document.has_update_time) {
    write.current_document.exists = true; // which it does, see below
  }
  const document = this.getDocument(write.has_update ? write.update.name : write.delete);
  const { metadata } = document;
  const before = metadata.hasExist && JSON.stringify(document.fields);
  const result = ownWrite.call(this, commitTime, write);
  if (before && document.metadata.hasExist && JSON.stringify(document.fields) === before) {
    document.metadata = metadata; // what changes nothing leaves the time as it was
    result.update_time = TimestampOf(metadata.updatedAt);
  }
  return result;
};

function TimestampOf(date) {
  const seconds = Math.floor(date.getTime() / 1000);
  return Timestamp.fromObject({ seconds, nanos: date.getMilliseconds() * 1e6 });
}

function isUnchanged(document, { seconds, nanos }) {
  const { hasExist, updatedAt } = document.metadata;
  return hasExist && updatedAt.getTime() === seconds * 1000 + nanos / 1e6;
}

// Preconditions are looked at before anything is written.
const commit = "/google.firestore.v1.Firestore/Commit";
const own = server.server.handlers.get(commit);
server.server.unregister(commit);
server.server.register(
  commit,
  (call, callback) => {
    for (const write of call.request.writes) {
      if (!write.has_current_document) continue;
      const name = write.has_update ? write.update.name : write.delete;
      if (write.current_document.has_update_time) {
        if (!isUnchanged(state.getDocument(name), write.current_document.update_time)) {
          callback({ code: FAILED_PRECONDITION, message: `the document ${name} changed` }, null);
          return;
        }
        continue;
      }
      if (!write.current_document.has_exists) continue;
      const wanted = write.current_document.exists;
      if (state.getDocument(name).metadata.hasExist !== wanted) {
        const code = wanted ? NOT_FOUND : ALREADY_EXISTS;
        callback({ code, message: `the document ${name}` }, null);
        return;
      }
    }
    own.func(call, (error, response) => {
      if (error) error.code ??= UNKNOWN;
      callback(error, response);
    });
  },
  own.serialize,
  own.deserialize,
  "unary",
);

const port = Number(process.argv[2]);
server.server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
  console.log("ready");
});
