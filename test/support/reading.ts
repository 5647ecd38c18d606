/**
 * Reads what comes of an answer, until it ends or its caller leaves. Node's own `fetch` waits for ever for
 * the rest of one that had come whole when it was aborted.
 */
export async function* partsUntilLeft(answer: Response, left: AbortSignal): AsyncGenerator<string> {
  const leaving = new Promise<undefined>(resolve => {
    if (left.aborted) resolve(undefined)
    left.addEventListener('abort', () => resolve(undefined))
  })
  const reader = answer.body?.getReader()
  for (;;) {
    const part = await Promise.race([reader?.read(), leaving])
    if (!part?.value) return
    yield Buffer.from(part.value).toString('latin1')
  }
}
