/**
 * Variables in config strings: `${NAME}`, `${NAME:-default}`, `${file:PATH}`.
 *
 * What a missing variable or file leaves is a finding at its JSON path; never an empty string.
 */
import type { JsonPath } from './document.ts'

export interface Sources {
  readonly env: Readonly<Record<string, string | undefined>>
  /** @returns The text of a file whose path is relative to the config. @throws when it cannot be read. */
  readFile(path: string): string
}

export interface Interpolated {
  readonly value: unknown
  /** The paths, as JSON pointers, of strings that came from a variable. */
  readonly variables: ReadonlySet<string>
  readonly problems: readonly { readonly path: JsonPath; readonly message: string }[]
}

const VARIABLE = /\$\{(?:file:([^}]+)|([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?|([^}]*))\}/g

export function interpolate(value: unknown, sources: Sources): Interpolated {
  const variables = new Set<string>()
  const problems: { path: JsonPath; message: string }[] = []

  function visit(node: unknown, path: JsonPath): unknown {
    if (typeof node === 'string') return node.includes('${') ? expand(node, path) : node
    if (Array.isArray(node)) return node.map((item, index) => visit(item, [...path, index]))
    if (typeof node !== 'object' || node === null) return node
    return Object.fromEntries(Object.entries(node).map(([key, item]) => [key, visit(item, [...path, key])]))
  }

  function expand(text: string, path: JsonPath): string {
    variables.add(pointer(path))
    return text.replace(VARIABLE, (whole, file?: string, name?: string, fallback?: string) => {
      if (file !== undefined) return readVariableFile(file, path)
      if (name === undefined) {
        problems.push({
          path,
          message: `${whole} is no variable: expected \${NAME}, \${NAME:-default} or \${file:PATH}`,
        })
        return ''
      }
      const found = sources.env[name]
      // As in a shell, `:-` also answers for a variable that is set and empty.
      if (found !== undefined && (found !== '' || fallback === undefined)) return found
      if (fallback !== undefined) return fallback
      problems.push({ path, message: `the environment variable ${name} is not set` })
      return ''
    })
  }

  function readVariableFile(file: string, path: JsonPath): string {
    try {
      return sources.readFile(file).replace(/\r?\n$/, '')
    } catch (cause) {
      problems.push({
        path,
        message: `cannot read ${file}: ${(cause as NodeJS.ErrnoException).code ?? 'failed'}`,
      })
      return ''
    }
  }

  return { value: visit(value, []), variables, problems }
}

/** A path as a JSON pointer (RFC 6901). */
export function pointer(path: JsonPath): string {
  return path.map(part => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}
