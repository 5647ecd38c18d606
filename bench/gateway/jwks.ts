/**
 * The key set of an identity provider: one file, whatever is asked.
 *
 *     jwks.ts PORT FILE
 */
import { readFileSync } from 'node:fs'
import http from 'node:http'

const [port, file] = process.argv.slice(2) as [string, string]
const text = readFileSync(file)
http
  .createServer((_request, response) => response.setHeader('content-type', 'application/json').end(text))
  .listen(Number(port), '127.0.0.1')
