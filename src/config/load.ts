/**
 * Reads `gateway.config.json`: text → variables → schema → a config that can be built from,
 * or findings, each with its JSON path, its line and what was expected.
 */

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { isUrl } from '../contract/addresses.ts'
import type { AuditConfig, SinkConfig } from '../contract/config/audit.ts'
import type { CertificateConfig, TlsConfig } from '../contract/config/listeners.ts'
import type { TargetConfig } from '../contract/config/pools.ts'
import { configSchema, type GatewayConfig } from '../contract/config.schema.ts'
import type { FindingCode } from '../contract/finding-meanings.ts'
import type { Finding } from '../contract/findings.ts'
import { compileSchema, type SchemaProblem } from '../contract/schema.ts'
import { type ConfigDocument, type JsonPath, parseDocument, showPath } from './document.ts'
import { interpolate, type Sources } from './interpolate.ts'
import { nearest } from './nearest.ts'
import { judge } from './rules.ts'

const validate = compileSchema(configSchema, { defaults: true, all: true })

const DEFAULT_STORE = 'sallyport.db'

export type LoadedConfig =
  | { readonly config: GatewayConfig; readonly findings: readonly Finding[] }
  | { readonly config: undefined; readonly findings: readonly Finding[] }

/** The config file could not be used; `findings` say why. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly code = 'invalid_config'
  constructor(readonly findings: readonly Finding[]) {
    super(`the config is not valid (${findings.length} findings)`)
  }
}

/**
 * @param file - The path of the config file; paths inside it are relative to its folder.
 * @returns The config, or findings of severity `error`. Never throws for what a file may hold.
 */
export function loadConfig(file: string, env: Sources['env'] = process.env): LoadedConfig {
  const folder = path.dirname(path.resolve(file))
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    const reason =
      (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : String(cause)
    return refuse([
      { severity: 'error', code: 'config_unreadable', message: reason, file, line: 0, column: 0 },
    ])
  }
  const readFile = (name: string): string => readFileSync(path.resolve(folder, name), 'utf8')
  return readConfig(text, file, folder, { env, readFile })
}

/** As `loadConfig`, for a text that was read already. */
export function readConfig(text: string, file: string, folder: string, sources: Sources): LoadedConfig {
  const document = parseDocument(text, file)
  if (document.findings.length > 0) return refuse(document.findings)

  const { value, variables, problems } = interpolate(document.value, sources)
  if (problems.length > 0) {
    return refuse(
      problems.map(({ path, message }) => finding(document, file, 'config_variable', path, message)),
    )
  }

  const misfits = validateWithVariables(value, variables)
  if (misfits.length > 0) return refuse(explain(misfits, value, document, file))

  const config = resolvePaths(value as GatewayConfig, folder)
  const judged = judge(config).map(({ code, path, message }) => finding(document, file, code, path, message))
  return judged.length > 0 ? refuse(judged) : { config, findings: [] }
}

function refuse(findings: readonly Finding[]): LoadedConfig {
  return { config: undefined, findings }
}

function finding(
  document: ConfigDocument,
  file: string,
  code: FindingCode,
  at: JsonPath,
  message: string,
): Finding {
  return { severity: 'error', code, message: `${showPath(at)}: ${message}`, file, ...document.position(at) }
}

/** A string that came from a variable is read as the type that the schema wants, then judged again. */
function validateWithVariables(value: unknown, variables: ReadonlySet<string>): readonly SchemaProblem[] {
  for (;;) {
    const problems = validate(value)
    const converted = problems.filter(problem => variables.has(problem.pointer) && convert(value, problem))
    if (converted.length === 0) return problems
  }
}

function convert(root: unknown, problem: SchemaProblem): boolean {
  const at = parsePointer(problem.pointer, root)
  const parent = valueAt(root, at.slice(0, -1)) as Record<string | number, unknown>
  const last = at.at(-1) as string | number
  const text = parent[last]
  if (typeof text !== 'string') return false
  const wanted = problem.keyword === 'const' ? typeof problem.params.allowedValue : problem.params.type
  if ((wanted === 'integer' || wanted === 'number') && /^-?\d+(\.\d+)?$/.test(text))
    parent[last] = Number(text)
  else if (wanted === 'boolean' && /^(true|false)$/.test(text)) parent[last] = text === 'true'
  else return false
  return true
}

/** One finding a misfit; the branches of an `anyOf` are told as one. */
function explain(
  problems: readonly SchemaProblem[],
  value: unknown,
  document: ConfigDocument,
  file: string,
): Finding[] {
  const composed = problems.filter(problem => problem.keyword === 'anyOf')
  const inside = (problem: SchemaProblem): boolean =>
    composed.some(other => other !== problem && problem.pointer.startsWith(other.pointer))
  return problems
    .filter(problem => problem.keyword !== 'if' && !inside(problem))
    .map(problem => {
      const at = parsePointer(problem.pointer, value)
      if (problem.keyword === 'additionalProperties') {
        const key = String(problem.params.additionalProperty)
        const known = Object.keys((problem.schema.properties ?? {}) as object)
        const close = nearest(key, known)
        const hint = close ? `; did you mean ${JSON.stringify(close)}?` : `; known keys: ${known.join(', ')}`
        return {
          severity: 'error' as const,
          code: 'config_unknown_key',
          message: `${showPath([...at, key])}: unknown key${hint}`,
          file,
          ...document.position([...at, key], 'key'),
        }
      }
      return finding(
        document,
        file,
        'config_invalid',
        at,
        `expected ${expectation(problem)}${got(valueAt(value, at), problem)}`,
      )
    })
}

function expectation({ keyword, params, schema, message }: SchemaProblem): string {
  switch (keyword) {
    case 'type':
      return `${params.type}`
    case 'enum':
      return (params.allowedValues as unknown[]).map(value => JSON.stringify(value)).join(' or ')
    case 'required':
      return `the key ${JSON.stringify(params.missingProperty)}`
    case 'pattern':
      return schema.description ? String(schema.description) : message
    case 'anyOf':
      return String(schema.description ?? message)
    default:
      return message
        .replace(/^must be /, '')
        .replace(/^must NOT have (fewer|more) than/, (_, than) => (than === 'fewer' ? 'at least' : 'at most'))
  }
}

/** The value found, but never one that may be a secret: strings are not repeated. */
function got(value: unknown, { keyword }: SchemaProblem): string {
  if (keyword === 'required' || value === undefined) return ''
  if (typeof value === 'string') return keyword === 'type' ? ', got a string' : ''
  if (typeof value === 'object')
    return value === null ? ', got null' : Array.isArray(value) ? ', got a list' : ', got an object'
  return `, got ${value}`
}

/** A part of a pointer is an index where there is a list, and a key elsewhere, whatever it looks like. */
function parsePointer(text: string, root: unknown): (string | number)[] {
  let node = root
  return text
    .split('/')
    .slice(1)
    .map(part => {
      const key = part.replaceAll('~1', '/').replaceAll('~0', '~')
      const step = Array.isArray(node) ? Number(key) : key
      node = valueAt(node, [step])
      return step
    })
}

function valueAt(root: unknown, at: JsonPath): unknown {
  return at.reduce<unknown>(
    (node, key) => (node as Record<string | number, unknown> | undefined)?.[key],
    root,
  )
}

function resolvePaths(config: GatewayConfig, folder: string): GatewayConfig {
  const absolute = (name: string): string => path.resolve(folder, name)
  const { tls } = config.listen
  const adminTls = config.admin.tls
  const source = (name: string): string => (isUrl(name) ? name : absolute(name))
  const keys: string | readonly string[] = config.policy.signature.publicKeyFile ?? []
  return {
    ...config,
    listen: { ...config.listen, ...(tls ? { tls: tlsPaths(tls, absolute) } : {}) },
    admin: {
      ...config.admin,
      ...(adminTls ? { tls: { ...adminTls, ...tlsPaths(adminTls, absolute) } } : {}),
    },
    policy: {
      ...config.policy,
      path: source(config.policy.path),
      signature: { ...config.policy.signature, publicKeyFile: [keys].flat().map(absolute) },
      ...(config.policy.candidate ? { candidate: { path: source(config.policy.candidate.path) } } : {}),
    },
    identity: {
      ...config.identity,
      apiKeys: { ...config.identity.apiKeys, file: absolute(config.identity.apiKeys.file) },
      jwt: config.identity.jwt.map(issuer =>
        issuer.keyFile === undefined ? issuer : { ...issuer, keyFile: absolute(issuer.keyFile) },
      ),
    },
    pools: Object.fromEntries(
      Object.entries(config.pools).map(([name, pool]) => [
        name,
        { ...pool, targets: pool.targets.map(target => targetPaths(target, absolute)) },
      ]),
    ),
    store:
      config.store.engine === 'sqlite'
        ? { ...config.store, path: absolute(config.store.path ?? DEFAULT_STORE) }
        : config.store,
    audit: auditPaths(config.audit, absolute),
  }
}

function auditPaths(audit: AuditConfig, absolute: (name: string) => string): AuditConfig {
  const { sinks, checkpoints } = audit
  const placed = (sink: SinkConfig): SinkConfig => {
    if (sink.type === 'file') return { ...sink, path: absolute(sink.path) }
    if (sink.type === 'stdout' || sink.buffer.path === undefined) return sink
    return { ...sink, buffer: { ...sink.buffer, path: absolute(sink.buffer.path) } }
  }
  return {
    ...audit,
    sinks: sinks.map(placed),
    ...(checkpoints ? { checkpoints: { ...checkpoints, keyFile: absolute(checkpoints.keyFile) } } : {}),
  }
}

function tlsPaths(tls: TlsConfig, absolute: (name: string) => string): TlsConfig {
  const { certFile, keyFile, clientCaFile, certificates } = tls
  const pair = (of: CertificateConfig): CertificateConfig => ({
    certFile: absolute(of.certFile),
    keyFile: absolute(of.keyFile),
  })
  return {
    ...tls,
    ...pair({ certFile, keyFile }),
    ...(clientCaFile === undefined ? {} : { clientCaFile: absolute(clientCaFile) }),
    ...(certificates === undefined ? {} : { certificates: certificates.map(pair) }),
  }
}

function targetPaths(target: TargetConfig, absolute: (name: string) => string): TargetConfig {
  if (!target.tls) return target
  const { caFile, certFile, keyFile, serverName } = target.tls
  const tls = {
    ...(caFile === undefined ? {} : { caFile: absolute(caFile) }),
    ...(certFile === undefined ? {} : { certFile: absolute(certFile) }),
    ...(keyFile === undefined ? {} : { keyFile: absolute(keyFile) }),
    ...(serverName === undefined ? {} : { serverName }),
  }
  return { ...target, tls }
}
