/** `audit`: where records go and what they hold. */
import { POSITIVE_DURATION_PATTERN, SIZE_PATTERN } from '../units.ts'
import { count, duration, section, size, string } from './words.ts'

const name = {
  type: 'string',
  pattern: '^[a-z][a-z0-9_-]{0,30}$',
  description: 'What metrics, /status and the rule gateway/mask call it; its type unless told',
} as const

const rotate = section(
  'When a file is full: it becomes FILE.1, the one before FILE.2, and so on; never unless told',
  {
    size: { type: 'string', pattern: SIZE_PATTERN, description: 'The largest that a file may be: 64MiB' },
    interval: { ...duration(), description: 'How long a file is written to: 24h' },
    compress: {
      type: 'boolean',
      description: 'Whether rotated files are gzipped: FILE.2.gz',
      default: false,
    },
    keep: { ...count, description: 'How many rotated files are kept; all unless told' },
    maxAge: { ...duration(), description: 'How old a rotated file may be; any age unless told' },
  },
  { optional: true },
)

const fileSink = section(
  'A file of JSON lines',
  {
    type: { const: 'file' },
    name,
    path: { ...string, default: 'audit.jsonl' },
    sync: {
      anyOf: [{ enum: ['always', 'never'] }, { type: 'string', pattern: POSITIVE_DURATION_PATTERN }],
      description: 'When records are forced to disk: always, never, or every so often',
      default: '1s',
    },
    rotate,
  },
  { required: ['type'] },
)

const stdoutSink = section(
  'JSON lines on standard output',
  { type: { const: 'stdout' }, name },
  { required: ['type'] },
)

const httpSink = section(
  "OPA's decision-log upload: POST URL/logs, a gzipped JSON list",
  {
    type: { const: 'http' },
    name,
    url: { ...string, description: 'The server; /logs is appended' },
    resource: { ...string, description: 'The path that is appended to the URL', default: '/logs' },
    token: { ...string, description: 'Sent as a bearer token' },
    headers: { type: 'object', additionalProperties: string, default: {} },
    interval: { ...duration('1s'), description: 'How long records are gathered before they are sent' },
    timeout: duration('10s'),
    batch: { ...size('256KiB'), description: 'About how much is sent at once, before it is packed' },
    buffer: section('Where records wait that could not be delivered', {
      path: { ...string, description: 'A folder; in .sallyport beside the config unless told' },
      size: size('64MiB'),
    }),
  },
  { required: ['type', 'url'] },
)

const checkpoints = section(
  'Lines that sign the chain so far, with Ed25519',
  {
    keyFile: { ...string, description: 'A private key in PEM, such as `sallyport audit keygen` makes' },
    every: { ...count, description: 'At most so many records between two', default: 1000 },
    interval: duration('1m'),
  },
  { required: ['keyFile'] },
)

export const audit = section('The audit log', {
  sinks: {
    type: 'array',
    items: {
      type: 'object',
      required: ['type'],
      properties: { type: { enum: ['file', 'stdout', 'http'] } },
      allOf: [fileSink, stdoutSink, httpSink].map(sink => ({
        if: { properties: { type: sink.properties.type } },
        // biome-ignore lint/suspicious/noThenProperty: a word of JSON Schema
        then: sink,
      })),
    },
    minItems: 1,
    default: [{ type: 'file' }],
  },
  onFailure: { enum: ['refuse', 'allow'], default: 'refuse' },
  content: { enum: ['none', 'request', 'all'], default: 'none' },
  maskKey: { ...string, minLength: 16, description: 'For the hashes that gateway/mask asks for' },
  checkpoints,
})

export interface FileSinkConfig {
  readonly type: 'file'
  readonly name?: string
  readonly path: string
  readonly sync: string
  readonly rotate?: RotateConfig
}

export interface RotateConfig {
  readonly size?: string
  readonly interval?: string
  readonly compress: boolean
  readonly keep?: number
  readonly maxAge?: string
}

export interface StdoutSinkConfig {
  readonly type: 'stdout'
  readonly name?: string
}

export interface HttpSinkConfig {
  readonly type: 'http'
  readonly name?: string
  readonly url: string
  readonly resource: string
  readonly token?: string
  readonly headers: Readonly<Record<string, string>>
  readonly interval: string
  readonly timeout: string
  readonly batch: string
  readonly buffer: { readonly path?: string; readonly size: string }
}

export type SinkConfig = FileSinkConfig | StdoutSinkConfig | HttpSinkConfig

export interface AuditConfig {
  readonly sinks: readonly SinkConfig[]
  readonly onFailure: 'refuse' | 'allow'
  readonly content: 'none' | 'request' | 'all'
  readonly maskKey?: string
  readonly checkpoints?: {
    readonly keyFile: string
    readonly every: number
    readonly interval: string
  }
}
