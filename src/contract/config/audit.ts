/** `audit`: where records go and what they hold. */
import { POSITIVE_DURATION_PATTERN } from '../units.ts'
import { section, string } from './words.ts'

const fileSink = section(
  'A file of JSON lines',
  {
    type: { const: 'file' },
    path: { ...string, default: 'audit.jsonl' },
    sync: {
      anyOf: [{ enum: ['always', 'never'] }, { type: 'string', pattern: POSITIVE_DURATION_PATTERN }],
      description: 'When records are forced to disk: always, never, or every so often',
      default: '1s',
    },
  },
  { required: ['type'] },
)

export const audit = section('The audit log', {
  sinks: { type: 'array', items: fileSink, minItems: 1, maxItems: 1, default: [{ type: 'file' }] },
  onFailure: { enum: ['refuse', 'allow'], default: 'refuse' },
  content: { enum: ['none', 'request', 'all'], default: 'none' },
})

export interface FileSinkConfig {
  readonly type: 'file'
  readonly path: string
  readonly sync: string
}

export interface AuditConfig {
  readonly sinks: readonly FileSinkConfig[]
  readonly onFailure: 'refuse' | 'allow'
  readonly content: 'none' | 'request' | 'all'
}
