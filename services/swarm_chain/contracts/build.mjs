// Compiles the contracts and writes artefacts: node build.mjs <output directory> [<node_modules directory>]
//
// The result depends on the sources and on the versions in package-lock.json only: no metadata hash, no paths, no time.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const [output, modules = join(here, "node_modules")] = process.argv.slice(2);
if (!output) {
  console.error("usage: node build.mjs <output directory> [<node_modules directory>]");
  process.exit(64);
}
const solc = createRequire(join(resolve(modules), "any.js"))("solc");
const wanted = JSON.parse(readFileSync(join(here, "package.json"), "utf8")).dependencies.solc;
if (!solc.version().startsWith(`${wanted}+`)) {
  console.error(`solc is ${solc.version()}, package.json wants ${wanted}: run npm ci beside package.json`);
  process.exit(1);
}

const PROXY = "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
const contracts = { PredictionMarket: "PredictionMarket.sol", SwarmCoordinator: "SwarmCoordinator.sol", ERC1967Proxy: PROXY };

const sources = { [PROXY]: { content: readFileSync(join(modules, PROXY), "utf8") } };
for (const name of readdirSync(here).filter((entry) => entry.endsWith(".sol")).sort()) {
  sources[name] = { content: readFileSync(join(here, name), "utf8") };
}

const input = {
  language: "Solidity",
  sources,
  settings: {
    evmVersion: "shanghai",
    optimizer: { enabled: true, runs: 200 },
    metadata: { appendCBOR: false, bytecodeHash: "none" },
    outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "storageLayout"] } },
  },
};
const findImport = (path) => {
  try {
    return { contents: readFileSync(join(modules, path), "utf8") };
  } catch (error) {
    return { error: String(error) };
  }
};
const result = JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }));
for (const problem of result.errors ?? []) console.error(problem.formattedMessage);
if (result.errors?.length) process.exit(1); // a warning is an error here

mkdirSync(output, { recursive: true });
for (const [name, source] of Object.entries(contracts)) {
  const { abi, evm } = result.contracts[source][name];
  const artefact = { contract: name, compiler: solc.version(), abi, bytecode: `0x${evm.bytecode.object}` };
  writeFileSync(join(output, `${name}.json`), `${JSON.stringify(artefact, null, 1)}\n`);
}
