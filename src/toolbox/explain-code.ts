/** `explain CODE`: what lies behind the code of an error or a finding, and what helps. */
import { MEANINGS, OTHER_MEANINGS } from '../contract/error-meanings.ts'
import { REFUSALS, type RefusalCode } from '../contract/errors.ts'
import { FINDING_MEANINGS } from '../contract/finding-meanings.ts'
import { type Format, print, printJson } from './output.ts'

export interface CodeExplained {
  readonly code: string
  readonly meaning: string
  /** Of an answer with this code. */
  readonly status?: number
  readonly title?: string
}

/** @returns Undefined for what is no code of ours. */
export function explainedCode(code: string): CodeExplained | undefined {
  if (Object.hasOwn(REFUSALS, code)) {
    const { status, title } = REFUSALS[code as RefusalCode]
    return { code, status, title, meaning: MEANINGS[code as RefusalCode] }
  }
  const others: Readonly<Record<string, string>> = { ...OTHER_MEANINGS, ...FINDING_MEANINGS }
  const meaning = Object.hasOwn(others, code) ? others[code] : undefined
  if (meaning !== undefined) return { code, meaning }
  if (/^rego_[a-z_]+$/.test(code))
    return { code, meaning: 'OPA’s compiler does not take the policy; the message is its own.' }
  return undefined
}

export function printCode({ code, status, title, meaning }: CodeExplained, format: Format): void {
  if (format === 'json') printJson({ code, ...(status === undefined ? {} : { status, title }), meaning })
  else print([`${code}${status === undefined ? '' : `: status ${status}, ${title}`}`, meaning].join('\n'))
}
