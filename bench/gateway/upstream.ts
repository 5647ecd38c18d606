/**
 * The model server of the benchmark: answers at once, or streams chunks at an even pace, each with the
 * moment it was sent, so that a reader can tell how late it came.
 */
import http from 'node:http'

const [port, chunks, intervalMs] = process.argv.slice(2).map(Number) as [number, number, number]

const ANSWER = JSON.stringify({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  model: 'tiny',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'All doors are watched. '.repeat(30) },
      finish_reason: 'stop',
    },
  ],
  usage: { prompt_tokens: 200, completion_tokens: 140, total_tokens: 340 },
})

const server = http.createServer((request, response) => {
  const parts: Buffer[] = []
  request.on('data', (part: Buffer) => void parts.push(part))
  request.on('end', () => {
    if (Buffer.concat(parts).includes('"stream":true')) stream(response)
    else
      response
        .writeHead(200, { 'content-type': 'application/json', 'content-length': ANSWER.length })
        .end(ANSWER)
  })
})

function stream(response: http.ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  let left = chunks
  const timer = setInterval(send, intervalMs)
  send()

  function send(): void {
    if (left-- > 0) {
      const delta = { content: `word ${left} ` }
      response.write(
        `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', choices: [{ index: 0, delta }], sent_ns: String(process.hrtime.bigint()) })}\n\n`,
      )
      return
    }
    clearInterval(timer)
    const usage = { prompt_tokens: 200, completion_tokens: chunks, total_tokens: 200 + chunks }
    response.end(`data: ${JSON.stringify({ id: 'c', choices: [], usage })}\n\ndata: [DONE]\n\n`)
  }
}

server.keepAliveTimeout = 120_000
server.listen(port, '127.0.0.1', 4096)
