/**
 * The systems that are compared, and how each is started: ours with everything on, and what others use.
 */
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, sign } from 'node:crypto'
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { parse, stringify } from 'yaml'
import { findOpa } from '../../src/policy/compile/opa-command.ts'
import { type Command, has } from './processes.ts'
import { MODEL, type Scenario } from './scenarios.ts'

export interface System {
  readonly name: string
  readonly about: string
  /** It knows callers and has a policy; the others only pass on. */
  readonly refuses: boolean
  /** Why it cannot be measured here. */
  missing(): string | undefined
  commands(place: Place): readonly Command[]
  headers(scenario: Scenario, place: Place): Readonly<Record<string, string>>
  /** What it answers, where that is not what the scenario expects. */
  readonly statuses?: Partial<Record<Scenario['caller'], number>>
}

export interface Place {
  readonly port: number
  readonly upstream: number
  /** A port for a helper of its own. */
  readonly aux: number
  /** An empty folder of its own. */
  readonly folder: string
}

const HERE = import.meta.dirname
const ROOT = path.resolve(HERE, '../..')
const PEERS = path.join(HERE, 'peers')
const CLI = path.join(ROOT, 'dist/cli.js')
const NO_HEADERS = (): Readonly<Record<string, string>> => ({})
const fromPeers = createRequire(path.join(PEERS, 'package.json'))

const node = (script: string, place: Place): Command => ({
  command: process.execPath,
  args: [path.join(PEERS, script)],
  env: { PORT: String(place.port), UPSTREAM: `http://127.0.0.1:${place.upstream}`, NODE_ENV: 'production' },
  port: place.port,
})

/** Who asks, in the systems that know callers; Sallyport's are made by its own command. */
const KNOWN_KEY = 'bench-known-key'

const keys = new Map<string, Readonly<Record<Scenario['caller'], string>>>()

/** What one of ours has that the plain one has not. */
export interface Variant {
  missing?(): string | undefined
  /** Of `serve`. */
  readonly args?: readonly string[]
  /** Of its config. */
  members?(place: Place): object
  /** What it needs beside it; its CPU time counts too. */
  beside?(place: Place): Command
  /** Of who is known; `developer` unless told. */
  readonly role?: string
  /** For who is known, in place of an API key. */
  credential?(place: Place): string
}

export function sallyport(name: string, about: string, variant: Variant = {}): System {
  return {
    name,
    about,
    refuses: true,
    missing: () => (existsSync(CLI) ? variant.missing?.() : 'run `npm run build` first'),
    commands(place) {
      prepare(place, variant)
      return [
        ...(variant.beside ? [variant.beside(place)] : []),
        {
          command: process.execPath,
          args: [CLI, 'serve', ...(variant.args ?? [])],
          cwd: place.folder,
          env: { NODE_ENV: 'production' },
          port: place.port,
        },
      ]
    },
    headers: ({ caller }, { folder }) => ({ authorization: `Bearer ${keys.get(folder)?.[caller]}` }),
  }
}

/** A role with opening hours that are never over: who has it is decided by the clock, each time. */
export const SHIFT = 'night_shift'
const ALWAYS = [
  {
    days: ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'],
    from: '00:00',
    until: '24:00',
  },
]

/** The reference policy, with limits that a benchmark does not reach. */
export function writeReferencePolicy(folder: string): void {
  cpSync(path.join(ROOT, 'policies'), folder, { recursive: true })
  const file = path.join(folder, 'gateway/tables/data.yaml')
  const tables = parse(readFileSync(file, 'utf8'))
  tables.tiers.interactive = {
    requests_per_minute: 100_000_000,
    team_requests_per_minute: 100_000_000,
    streams: 100_000,
  }
  tables.hours[SHIFT].windows = ALWAYS
  writeFileSync(file, stringify(tables))
}

function prepare(place: Place, variant: Variant): void {
  const { folder, port, upstream } = place
  writeReferencePolicy(path.join(folder, 'policies'))
  const config = {
    listen: { port },
    admin: { port: 0 },
    // Its tests and scenarios are about the limits as they were.
    policy: { activation: { tests: false } },
    limits: { unauthenticated: false },
    pools: { chat: { models: [MODEL], targets: [{ url: `http://127.0.0.1:${upstream}` }] } },
    ...variant.members?.(place),
  }
  writeFileSync(path.join(folder, 'gateway.config.json'), JSON.stringify(config))
  const elsewhere = { ...config, identity: { apiKeys: { file: 'elsewhere.json' } } }
  writeFileSync(path.join(folder, 'elsewhere.config.json'), JSON.stringify(elsewhere))
  keys.set(folder, {
    known:
      variant.credential?.(place) ??
      keyIn(folder, '--principal', 'bench', '--roles', variant.role ?? 'developer', '--team', 'bench'),
    forbidden: keyIn(folder, '--principal', 'nobody'),
    // Of the right form, so that it must be looked for.
    denied: keyIn(folder, '--principal', 'stranger', '--config', 'elsewhere.config.json'),
  })
}

function keyIn(folder: string, ...args: string[]): string {
  const command = [CLI, 'keys', 'create', '--format', 'json', ...args]
  const text = execFileSync(process.execPath, command, { cwd: folder, encoding: 'utf8' })
  return (JSON.parse(text) as { secret: string }).secret
}

const issuerAt = (port: number): string => `http://127.0.0.1:${port}`

/** Of one run: nobody else signs with it. */
const signing = generateKeyPairSync('rsa', { modulusLength: 2048 })

/** @returns The file that its public half was written to. */
function jwksOf({ folder }: Place): string {
  const file = path.join(folder, 'jwks.json')
  const key = { ...signing.publicKey.export({ format: 'jwk' }), kid: 'bench', alg: 'RS256', use: 'sig' }
  writeFileSync(file, JSON.stringify({ keys: [key] }))
  return file
}

function tokenOf({ aux }: Place): string {
  const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  const who = { sub: 'bench', roles: ['developer'], team: 'bench', kind: 'service' }
  const claims = { iss: issuerAt(aux), aud: 'bench', iat: now, exp: now + 3600, ...who }
  const signed = `${encoded({ alg: 'RS256', kid: 'bench' })}.${encoded(claims)}`
  return `${signed}.${sign('sha256', Buffer.from(signed), signing.privateKey).toString('base64url')}`
}

/** What is common to both uses of nginx. */
function nginxConfig({ folder, port, upstream }: Place, servers: string, upstreams = ''): string {
  return `worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/error.log; daemon off;
events { worker_connections 4096; }
http {
  access_log off; client_body_temp_path ${folder}; proxy_temp_path ${folder}; fastcgi_temp_path ${folder};
  uwsgi_temp_path ${folder}; scgi_temp_path ${folder}; client_body_buffer_size 128k;
  keepalive_requests 1000000000;
  upstream model { server 127.0.0.1:${upstream}; keepalive 512; keepalive_requests 1000000000; }
  ${upstreams}
  server { listen 127.0.0.1:${port} backlog=4096; ${servers} }
}`
}

const PASS =
  'proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;'

function nginx(place: Place, config: string): Command {
  const file = path.join(place.folder, 'nginx.conf')
  writeFileSync(file, config)
  return { command: 'nginx', args: ['-p', place.folder, '-c', file], port: place.port }
}

/**
 * The same question to the same policy, as far as nginx can put it: it does not read bodies, so the model
 * is in a header, and it knows no callers, so the policy is told who has which key. What is not permitted
 * has no value, which OPA answers with 404.
 */
const OPA_DOOR = `package door

import rego.v1

permit if data.gateway.decision.allow with input as {
	"request": {"operation": "chat", "model": input.model},
	"principal": object.get(data.callers, input.authorization, {}),
	"grants": [],
	"pools": data.pools,
}
`

function opaServer({ folder, aux }: Place): Command {
  writeReferencePolicy(path.join(folder, 'policies'))
  writeFileSync(path.join(folder, 'door.rego'), OPA_DOOR)
  writeFileSync(
    path.join(folder, 'data.json'),
    JSON.stringify({
      callers: {
        [`Bearer ${KNOWN_KEY}`]: principal('bench', ['developer'], 'bench'),
        'Bearer forbidden': principal('nobody', [], null),
      },
      pools: { chat: { models: [MODEL], healthy: 1, targets: 1, in_flight: 0, queued: 0 } },
    }),
  )
  const flags = ['--v1-compatible', '--skip-version-check', '--log-level', 'error']
  const address = ['--addr', `127.0.0.1:${aux}`]
  return {
    command: findOpa()?.path ?? 'opa',
    args: [
      'run',
      '--server',
      ...flags,
      ...address,
      '--ignore',
      '*_test.rego',
      '--ignore',
      'scenarios',
      '--ignore',
      'data.schema.json',
      'policies',
      'door.rego',
      'data.json',
    ],
    cwd: folder,
    port: aux,
  }
}

/** As the gateway tells a policy of somebody with a key. */
function principal(id: string, roles: readonly string[], team: string | null): object {
  return { id, roles, team, kind: 'service', authenticated: true, method: 'api_key', claims: {} }
}

const WITHOUT_NGINX = 'there is no nginx (Debian: nginx-light)'
const WITHOUT_PEERS = 'run `npm ci --prefix bench/gateway/peers` first'

function hasPeer(name: string): boolean {
  try {
    fromPeers.resolve(name)
    return true
  } catch {
    return false
  }
}

export const SYSTEMS: readonly System[] = [
  sallyport('sallyport', 'API keys, the reference policy, its limits, usage, audit log and metrics, all on'),
  sallyport(
    'sallyport+hours',
    'the same for a caller whose role has opening hours, so that each request is decided anew',
    {
      role: SHIFT,
    },
  ),
  sallyport('sallyport+jwt', 'the same for a caller with a JWT that was seen before', {
    members: ({ aux }) => ({
      identity: { jwt: [{ issuer: issuerAt(aux), audience: ['bench'], jwksUri: `${issuerAt(aux)}/jwks` }] },
    }),
    beside: place => ({
      command: process.execPath,
      args: ['--import', 'tsx', path.join(HERE, 'jwks.ts'), String(place.aux), jwksOf(place)],
      port: place.aux,
    }),
    credential: tokenOf,
  }),
  sallyport('sallyport+redis', 'the same with Redis as the store; its CPU time counts too', {
    missing: () => (has('redis-server') ? undefined : 'there is no redis-server (Debian: redis-server)'),
    members: ({ aux }) => ({ store: { engine: 'redis', url: `redis://127.0.0.1:${aux}` } }),
    beside: ({ aux, folder }) => ({
      command: 'redis-server',
      args: ['--port', String(aux), '--bind', '127.0.0.1', '--save', '', '--dir', folder],
      port: aux,
    }),
  }),
  {
    name: 'express-hpm',
    about: 'express and http-proxy-middleware, nothing else',
    refuses: false,
    missing: () => undefined,
    commands: place => [node('express-hpm.mjs', place)],
    headers: NO_HEADERS,
  },
  {
    name: 'hpm',
    about: 'http-proxy-middleware on a plain Node server',
    refuses: false,
    missing: () => undefined,
    commands: place => [node('hpm.mjs', place)],
    headers: NO_HEADERS,
  },
  {
    name: 'nginx',
    about: 'nginx, one worker, nothing but a proxy',
    refuses: false,
    missing: () => (has('nginx') ? undefined : WITHOUT_NGINX),
    commands: place => [nginx(place, nginxConfig(place, `location / { ${PASS} }`))],
    headers: NO_HEADERS,
  },
  {
    name: 'nginx+opa',
    about:
      'nginx asking an OPA server beside it (auth_request) for a decision by the same policy; no limits, no audit',
    refuses: true,
    missing: () => (has('nginx') ? (findOpa() ? undefined : 'there is no opa') : WITHOUT_NGINX),
    statuses: { denied: 403, forbidden: 403 },
    commands: place => {
      const ask = `'{"method":"$request_method","authorization":"$http_authorization","model":"$http_x_model"}'`
      const locations = `location / { auth_request /_opa; ${PASS} }
    location = /_opa { internal; proxy_pass http://opa/v0/data/door/permit; proxy_http_version 1.1;
      proxy_method POST; proxy_pass_request_headers off; proxy_set_header Connection "";
      proxy_set_header Content-Type application/json; proxy_set_body ${ask};
      proxy_intercept_errors on; error_page 404 =403 @refuse; }
    location @refuse { return 403; }`
      const opa = `upstream opa { server 127.0.0.1:${place.aux}; keepalive 512; keepalive_requests 1000000000; }`
      return [opaServer(place), nginx(place, nginxConfig(place, locations, opa))]
    },
    headers: ({ caller }) => ({
      'x-model': MODEL,
      authorization: `Bearer ${caller === 'known' ? KNOWN_KEY : caller}`,
    }),
  },
  {
    name: 'portkey',
    about: 'the Portkey gateway, which passes on and enforces nothing here',
    refuses: false,
    missing: () => (hasPeer('@portkey-ai/gateway/package.json') ? undefined : WITHOUT_PEERS),
    commands: place => {
      const home = path.dirname(fromPeers.resolve('@portkey-ai/gateway/package.json'))
      return [
        {
          command: process.execPath,
          args: [path.join(home, 'build/start-server.js'), `--port=${place.port}`, '--headless'],
          env: { NODE_ENV: 'production', TRUSTED_CUSTOM_HOSTS: '127.0.0.1,localhost' },
          port: place.port,
        },
      ]
    },
    headers: (_scenario, { upstream }) => ({
      'x-portkey-provider': 'openai',
      'x-portkey-custom-host': `http://127.0.0.1:${upstream}/v1`,
      authorization: 'Bearer none',
    }),
  },
]
