/** What sinks are called: by their own name, else by their type, with a number where there are several. */
export function sinkNames(sinks: readonly { readonly type: string; readonly name?: string }[]): string[] {
  const seen = new Map<string, number>()
  return sinks.map(({ type, name }) => {
    if (name !== undefined) return name
    const number = (seen.get(type) ?? 0) + 1
    seen.set(type, number)
    return number === 1 ? type : `${type}_${number}`
  })
}
