// Writes rotation.json and telemetryflow.json: a key set whose keys share their id, and tokens of the
// platform as its own library signs them.
//
//     npm install --prefix /tmp/foreign jose@6.2.18 jsonwebtoken@9.0.3
//     NODE_PATH=/tmp/foreign/node_modules node make.mjs
//
// Each run makes new keys; the private ones are thrown away. The tokens hold until 2100.

import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { SignJWT, exportJWK, generateKeyPair } = require("jose");
const jsonwebtoken = require("jsonwebtoken");

const USER = "5b1f2a0e-7d0c-4a57-9d0e-0f6c1b0e9a01";
const ORGANIZATION = "c0ffee00-1f2e-4d3c-8b4a-5a6978879601";
const YEAR_2026 = 1767225600;
const YEAR_2100 = 4102444800;

async function rotation() {
  const claims = {
    sub: USER, organizationId: ORGANIZATION, iss: "https://issuer.example", aud: "export-api",
    iat: YEAR_2026, exp: YEAR_2100,
  };
  const keys = [];
  const tokens = {};
  for (const alg of ["RS256", "ES256", "Ed25519"]) {
    const { privateKey, publicKey } = await generateKeyPair(alg);
    keys.push({ ...(await exportJWK(publicKey)), kid: "2026-11" });
    const names = alg === "Ed25519" ? [alg, "EdDSA"] : [alg];
    for (const name of names) {
      const sign = (header) => new SignJWT(claims).setProtectedHeader(header).sign(privateKey);
      tokens[name] = await sign({ alg: name, kid: "2026-11" });
      tokens[`${name} without kid`] = await sign({ alg: name });
    }
  }
  return { made_with: "jose 6.2.18", jwks: { keys }, tokens };
}

function telemetryflow() {
  const secret = "the platform's JWT_SECRET, only for tests";
  const claims = {
    sub: USER, email: "ada@acme.example", roles: ["Developer"], permissions: ["dashboard:read"],
    tenantId: "7e0a1100-2b3c-4d5e-8f60-718293a4b501", organizationId: ORGANIZATION,
    iat: YEAR_2026, exp: YEAR_2100,
  };
  const sign = (changed) => jsonwebtoken.sign({ ...claims, ...changed }, secret);
  const tokens = {
    reader: sign({ permissions: ["dashboard:read", "telemetry:read"] }),
    manager: sign({
      permissions: ["telemetry:read", "telemetry:manage"], sessionId: "1f6c1b0e-0e9a-4a57-9d0e-7d0c5b1f2a01",
    }),
    administrator: sign({ roles: ["platform:manage"], permissions: [] }),
    stranger: sign({}),
    "without organization": sign({ organizationId: null, permissions: ["platform:manage"] }),
  };
  return { made_with: "jsonwebtoken 9.0.3 (npm)", secret, tokens };
}

for (const [name, made] of [["rotation", await rotation()], ["telemetryflow", telemetryflow()]]) {
  writeFileSync(new URL(`${name}.json`, import.meta.url), JSON.stringify(made, null, 2) + "\n");
}
