/**
 * Reads: which parts of `input` a policy can look at, from its plan, OPA's intermediate representation
 * (`opa build -t plan`). Every function that the entrypoint can reach is followed, arguments and results
 * included; what cannot be followed counts as reading everything below.
 */

export interface Reads {
  /**
   * Whether a decision may depend on what stands at a place.
   *
   * @param pointer - A JSON pointer that begins with `/input`.
   */
  mayDependOn(pointer: string): boolean
}

/** In a bundle's manifest, `metadata.reads`, so that who has the bundle need not have the sources. */
export interface ReadPaths {
  /** Looked at as far as to know whether it is there: JSON pointers into the input. */
  readonly touched: readonly string[]
  /** Looked at with everything below. */
  readonly whole: readonly string[]
}

/** Nothing is known of the policy, so it may read anything. */
export const READS_ANYTHING: Reads = { mayDependOn: () => true }

/** @param paths - As `metadata.reads` of a manifest holds them, if it does. */
export function readsFrom(paths: unknown): Reads {
  const { touched, whole } = (paths ?? {}) as Partial<ReadPaths>
  if (!isStrings(touched) || !isStrings(whole)) return READS_ANYTHING
  const answers = new Map<string, boolean>()
  return {
    mayDependOn(pointer) {
      const known = answers.get(pointer)
      if (known !== undefined) return known
      const answer = dependsOn(pointer, touched, whole)
      // Callers choose names of headers and members.
      if (answers.size >= MOST_ANSWERS) answers.clear()
      answers.set(pointer, answer)
      return answer
    },
  }
}

const MOST_ANSWERS = 1000

function isStrings(list: unknown): list is readonly string[] {
  return Array.isArray(list) && list.every(item => typeof item === 'string')
}

function dependsOn(pointer: string, touched: readonly string[], whole: readonly string[]): boolean {
  if (pointer !== '/input' && !pointer.startsWith('/input/')) return false
  const place = pointer.slice('/input'.length)
  const isAt = (path: string): boolean => path === place || path.startsWith(`${place}/`)
  return (
    touched.some(isAt) || whole.some(path => isAt(path) || place === path || place.startsWith(`${path}/`))
  )
}
