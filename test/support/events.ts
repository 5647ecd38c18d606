/** Server-sent events, read as they come. */
export interface ServerEvent {
  readonly event: string
  readonly id: string
  readonly data: string
}

export interface Events {
  readonly response: Response
  next(): Promise<ServerEvent>
  close(): void
}

export async function eventsOf(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Events> {
  const left = new AbortController()
  const response = await fetch(url, {
    headers: { accept: 'text/event-stream', ...headers },
    signal: left.signal,
  })
  const reader = (response.body as ReadableStream<Uint8Array>)
    .pipeThrough(new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>)
    .getReader()
  let text = ''
  return {
    response,
    async next() {
      for (;;) {
        const end = text.indexOf('\n\n')
        if (end >= 0) {
          const fields = fieldsIn(text.slice(0, end))
          text = text.slice(end + 2)
          if (fields.data !== undefined)
            return { event: fields.event ?? 'message', id: fields.id ?? '', data: fields.data }
          continue
        }
        const { value, done } = await reader.read()
        if (done) throw new Error('the stream ended')
        text += value
      }
    },
    close: () => left.abort(),
  }
}

function fieldsIn(block: string): Partial<Record<string, string>> {
  return Object.fromEntries(
    block
      .split('\n')
      .map(line => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
  )
}
