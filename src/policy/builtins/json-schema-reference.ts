/** JSON schema: where a `$ref` leads, which is always within the document. */
import { RegoObject, type Value } from '../values/values.ts'
import { BuiltinError } from './builtin.ts'

/** Within the document: by pointer, or by the `$id` of a part. */
export function target(root: Value, reference: string): Value {
  const hash = reference.indexOf('#')
  const [base, fragment] = hash < 0 ? [reference, ''] : [reference.slice(0, hash), reference.slice(hash + 1)]
  const start = base === '' ? root : withId(root, base)
  if (start === undefined) throw new BuiltinError(`remote reference loading disabled: ${reference}`)
  if (fragment !== '' && !fragment.startsWith('/')) {
    const named = withId(root, `#${fragment}`)
    if (named !== undefined) return named
    throw new BuiltinError(`Object has no key '${fragment}'`)
  }
  return unescaped(fragment)
    .split('/')
    .slice(1)
    .reduce<Value>((value, part) => {
      const key = part.replaceAll('~1', '/').replaceAll('~0', '~')
      const next =
        value instanceof RegoObject ? value.get(key) : Array.isArray(value) ? value[Number(key)] : undefined
      if (next === undefined) throw new BuiltinError(`Object has no key '${key}'`)
      return next
    }, start)
}

function withId(value: Value, id: string): Value | undefined {
  if (value instanceof RegoObject) {
    if (
      [value.get('$id'), value.get('id')].some(own => typeof own === 'string' && own.replace(/#$/, '') === id)
    )
      return value
    for (const [, member] of value) {
      const found = withId(member, id)
      if (found !== undefined) return found
    }
  } else if (Array.isArray(value)) {
    for (const member of value) {
      const found = withId(member, id)
      if (found !== undefined) return found
    }
  }
  return undefined
}

function unescaped(fragment: string): string {
  try {
    return decodeURIComponent(fragment)
  } catch (cause) {
    throw new BuiltinError(`invalid URL escape in '#${fragment}'`, { cause })
  }
}
