/** `policy`: where the policy comes from and how it is put in force. */
import { duration, section, size, string, strings } from './words.ts'

export const policy = section('Where the policy comes from and how it is put in force', {
  path: {
    ...string,
    description: "A folder of Rego sources, a bundle file, or a bundle's https URL",
    default: 'policies',
  },
  entrypoint: {
    type: 'string',
    pattern: '^[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)+$',
    default: 'gateway/decision',
  },
  watch: { type: 'boolean', default: true },
  builtinErrors: { enum: ['refuse', 'undefined'], default: 'refuse' },
  maxMemory: size('64MiB'),
  signature: section('Whose bundles are taken', {
    required: { type: 'boolean', default: false },
    publicKeyFile: {
      description: 'A path or a list of paths: any of them may have signed',
      anyOf: [string, { ...strings, minItems: 1 }],
    },
  }),
  candidate: section(
    'A second policy that is asked beside this one and never obeyed',
    {
      path: {
        ...string,
        description: "A folder of Rego sources, a bundle file, or a bundle's https URL",
      },
    },
    { required: ['path'] },
  ),
  activation: section('What a new policy must pass', {
    tests: { type: 'boolean', default: true },
    maxEvaluation: duration('5ms'),
    replay: section('How many of the latest decisions it may decide differently', {
      last: {
        type: 'integer',
        minimum: 0,
        maximum: 1_000_000,
        description: 'How many of the audit log are decided again; 0: none',
        default: 0,
      },
      maxFlips: { type: 'integer', minimum: 0, default: 0 },
    }),
  }),
})

export interface PolicyConfig {
  readonly path: string
  readonly entrypoint: string
  readonly watch: boolean
  readonly builtinErrors: 'refuse' | 'undefined'
  readonly maxMemory: string
  readonly signature: { readonly required: boolean; readonly publicKeyFile: readonly string[] }
  readonly candidate?: { readonly path: string }
  readonly activation: {
    readonly tests: boolean
    readonly maxEvaluation: string
    readonly replay: { readonly last: number; readonly maxFlips: number }
  }
}
