/**
 * Paths into a document: from the JSON pointers of a validator to what people read.
 */

export type Path = readonly (string | number)[]

/** @param root - The document, which tells a list's index from a key. */
export function pathOf(pointer: string, root: unknown): (string | number)[] {
  let node = root
  return pointer
    .split('/')
    .slice(1)
    .map(part => {
      const key = part.replaceAll('~1', '/').replaceAll('~0', '~')
      const step = Array.isArray(node) ? Number(key) : key
      node = (node as Record<string | number, unknown> | undefined)?.[step]
      return step
    })
}

export function showPath(path: Path): string {
  if (path.length === 0) return 'the file'
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : index ? `.${part}` : part))
    .join('')
}
