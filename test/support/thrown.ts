/** What a piece of work throws, so that a test can look at its code and not at its sentence. */
export function thrownBy(work: () => unknown): {
  code?: string
  status?: number
  headers?: Record<string, string>
  title?: string
} {
  try {
    work()
  } catch (error) {
    return error as object
  }
  throw new Error('nothing was thrown')
}

export async function rejectionOf(
  work: Promise<unknown>,
): Promise<{ code?: string; [more: string]: unknown }> {
  return work.then(
    () => {
      throw new Error('nothing was thrown')
    },
    (error: object) => error as { code?: string },
  )
}
