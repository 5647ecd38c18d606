/**
 * What model servers tell of themselves, as files: the path of an answer is the path of its file.
 */
import { existsSync, readFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import path from 'node:path'

const FOLDER = path.join(import.meta.dirname, '../upstreams/told')

export function told(server: string, asked: string): string | undefined {
  const file = path.join(FOLDER, server, asked)
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}

/** Answers GET requests as that server would. */
export function tells(server: string): RequestListener {
  return (request, response) => {
    const text = told(server, request.url ?? '')
    if (text === undefined)
      response.writeHead(404, { 'content-type': 'text/plain' }).end('404 page not found')
    else response.writeHead(200).end(text)
  }
}
