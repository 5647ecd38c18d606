/** The words the config's schema is written in. */
import { POSITIVE_DURATION_PATTERN, SIZE_PATTERN } from '../units.ts'

export const string = { type: 'string', minLength: 1 } as const
export const strings = { type: 'array', items: string } as const
export const port = { type: 'integer', minimum: 0, maximum: 65535 } as const
export const count = { type: 'integer', minimum: 1 } as const

export const duration = (fallback?: string) => ({
  type: 'string' as const,
  pattern: POSITIVE_DURATION_PATTERN,
  description: 'A duration: 250ms, 30s, 5m, 1h, 30d',
  ...(fallback === undefined ? {} : { default: fallback }),
})
export const size = (fallback?: string) => ({
  type: 'string' as const,
  pattern: SIZE_PATTERN,
  description: 'A size: 64KiB, 1MiB',
  ...(fallback === undefined ? {} : { default: fallback }),
})

/** An object that refuses unknown keys and, unless told otherwise, is all defaults when absent. */
export function section<P extends Record<string, object>>(
  description: string,
  properties: P,
  options: { required?: readonly string[]; optional?: boolean } = {},
) {
  return {
    type: 'object' as const,
    description,
    additionalProperties: false as const,
    ...(options.required ? { required: options.required } : {}),
    ...(options.required || options.optional ? {} : { default: {} }),
    properties,
  }
}
