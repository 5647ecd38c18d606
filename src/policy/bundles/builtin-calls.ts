/**
 * Where sources call builtins, told from their text: of a bundle that was compiled elsewhere there is no
 * compiler to ask.
 */
import type { BundleFiles } from './bundle.ts'

export interface BuiltinCall {
  readonly builtin: string
  /** As it is named in the bundle. */
  readonly name: string
  readonly line: number
  readonly column: number
}

/**
 * @returns None for a rule that is not there as text: `opa build` takes an entrypoint's own out of the sources.
 */
export function builtinCalls(files: BundleFiles, builtins: readonly string[]): BuiltinCall[] {
  const names = builtins.map(name => name.replaceAll('.', '\\.')).join('|')
  const called = new RegExp(`(?<![\\w.])(${names})\\(`, 'g')
  const sources = [...files].filter(([name]) => name.endsWith('.rego'))
  return sources.flatMap(([name, bytes]) =>
    Buffer.from(bytes)
      .toString('utf8')
      .split('\n')
      .flatMap((text, index) =>
        [...text.replace(/^\s*#.*/, '').matchAll(called)].map(match => ({
          builtin: match[1] as string,
          name,
          line: index + 1,
          column: match.index + 1,
        })),
      ),
  )
}
