/** Names that become labels: so many of them, and no more. */

/** A rule is named by the policy; one that makes names up at run time must not fill the memory. */
const MOST_NAMES = 200

/** Lets so many names through as they are; every further one is `other`. */
export function boundedNames(most = MOST_NAMES): (name: string) => string {
  const known = new Set<string>()
  return name => {
    if (known.has(name)) return name
    if (known.size >= most) return 'other'
    known.add(name)
    return name
  }
}
