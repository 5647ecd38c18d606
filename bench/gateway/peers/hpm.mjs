// http-proxy-middleware on a plain Node server: what it costs by itself.
import http from 'node:http'
import { createProxyMiddleware } from 'http-proxy-middleware'

const agent = new http.Agent({ keepAlive: true, maxSockets: 512 })
const proxy = createProxyMiddleware({ target: process.env.UPSTREAM, agent })
http
  .createServer((request, response) => proxy(request, response))
  .listen(Number(process.env.PORT), '127.0.0.1', 4096)
