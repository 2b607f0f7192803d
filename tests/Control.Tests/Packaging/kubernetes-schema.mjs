// Writes kubernetes-schema.json, by which KubernetesTests judges deploy/kubernetes: JSON Schema (draft 7) out of the npm package kubernetes-types (Apache-2.0), which was
// made from the OpenAPI document of Kubernetes. Anew for a newer Kubernetes:
//   npm install --ignore-scripts --prefix /tmp/k8s kubernetes-types && node kubernetes-schema.mjs /tmp/k8s/node_modules/kubernetes-types > kubernetes-schema.json
import fs from 'node:fs';
import path from 'node:path';

const root = process.argv[2];
const kinds = [['apps/v1', 'DaemonSet'], ['core/v1', 'ConfigMap'], ['core/v1', 'Secret'], ['core/v1', 'ServiceAccount']];
const files = new Map();
const definitions = {};

function load(file) {
  if (files.has(file)) return files.get(file);
  const text = fs.readFileSync(path.join(root, `${file}.d.ts`), 'utf8').replace(/\s*\/\*\*[\s\S]*?\*\//g, '');
  const loaded = { imports: {}, interfaces: {}, aliases: {} };
  for (const [, names, from] of text.matchAll(/import \{([^}]*)\} from "([^"]+)"/g))
    for (const name of names.split(',')) loaded.imports[name.trim()] = path.join(path.dirname(file), from);
  for (const [, name, fields] of text.matchAll(/export interface (\w+) \{\n([\s\S]*?\n)\}/g)) loaded.interfaces[name] = fields;
  for (const [, name, type] of text.matchAll(/export (?:declare )?type (\w+) = ([^;]+);/g)) loaded.aliases[name] = type;
  files.set(file, loaded);
  return loaded;
}

function schemaOf(type, file) {
  type = type.trim();
  let match;
  if (type === 'string' || type === 'boolean') return { type };
  if (type === 'number') return { type: 'integer' };
  if (type === '{}') return { type: 'object' };
  if ((match = /^"([^"]*)"$/.exec(type))) return { const: match[1] };
  if ((match = /^Array<([\s\S]*)>$/.exec(type))) return { type: 'array', items: schemaOf(match[1], file) };
  if ((match = /^\{\s*\[\w+: string\]: ([\s\S]*?);?\s*\}$/.exec(type))) return { type: 'object', additionalProperties: schemaOf(match[1], file) };
  if (type.includes('|')) return { anyOf: type.split('|').map(each => schemaOf(each, file)) };
  if (/^\w+$/.test(type)) return { $ref: `#/definitions/${define(type, file)}` };
  throw new Error(`${file}: what is ${type}?`);
}

function define(name, file) {
  const { imports, interfaces, aliases } = load(file);
  if (imports[name]) return define(name, imports[name]);
  if (definitions[name]) return name;
  const made = (definitions[name] = {});
  if (aliases[name]) return Object.assign(made, schemaOf(aliases[name], file)), name;
  if (!interfaces[name]) throw new Error(`${file}: there is no ${name}`);
  const isKind = kinds.some(([, kind]) => kind === name);
  const required = isKind ? ['apiVersion', 'kind', 'metadata'] : [];
  Object.assign(made, { type: 'object', properties: {}, additionalProperties: false });
  for (const [, field, optional, type] of interfaces[name].matchAll(/^ {4}(?:readonly )?"?([\w$-]+)"?(\??): ([\s\S]*?);\n(?! {5}| {4}\})/gm)) {
    // What the cluster writes is not for a manifest to say.
    if (isKind && field === 'status') continue;
    made.properties[field] = schemaOf(type, file);
    if (!optional) required.push(field);
  }
  if (required.length > 0) made.required = required;
  return name;
}

for (const [file, kind] of kinds) define(kind, file);
const { version } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
const sorted = Object.entries(definitions).sort(([one], [other]) => (one < other ? -1 : 1));
console.log(`{"$comment":"Of kubernetes-types ${version} (npm, Apache-2.0), by kubernetes-schema.mjs","definitions":{\n${sorted.map(([name, schema]) => `${JSON.stringify(name)}:${JSON.stringify(schema)}`).join(',\n')}\n}}`);
