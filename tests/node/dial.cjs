// What a hosts file and a port forward would do: every name leads to this machine, and port 443, which Azure's service SDK has
// built in, to the port of the server under test. The SDKs themselves run as they are.
"use strict";

const dns = require("node:dns");
const tls = require("node:tls");

const here = (_name, options, done) => {
  const answer = typeof options === "function" ? options : done;
  const all = typeof options === "object" && options !== null && options.all;
  process.nextTick(() => (all ? answer(null, [{ address: "127.0.0.1", family: 4 }]) : answer(null, "127.0.0.1", 4)));
};
dns.lookup = here;

const connect = tls.connect;
tls.connect = (...given) => {
  const options = given.find((one) => typeof one === "object" && one !== null);
  if (options && Number(options.port) === 443) {
    options.port = Number(process.env.FERROHUB_TEST_HTTPS_PORT);
  }
  return connect(...given);
};
