// The way a proxy is usually written with these two packages, and nothing else in it.
import http from 'node:http'
import express from 'express'
import { createProxyMiddleware } from 'http-proxy-middleware'

const agent = new http.Agent({ keepAlive: true, maxSockets: 512 })
const app = express()
app.use(createProxyMiddleware({ target: process.env.UPSTREAM, agent }))
app.listen(Number(process.env.PORT), '127.0.0.1', 4096)
