/**
 * The admin listener: health, metrics, status, decisions, OPA's data API, the page, and what an operator
 * may do. Who may come is told in `operators.ts`.
 */
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import https from 'node:https'
import express, { type NextFunction, type Request, type Response } from 'express'
import { errorBody, GatewayError } from '../contract/errors.ts'
import { type AdminAccess, type AdminAnswer, accessRoutes, type Methods } from './admin-access.ts'
import { BadFilter, createDecisionFeed, type DecisionJournal } from './decision-feed.ts'
import { openEventStream, wantsEvents } from './event-stream.ts'
import { listenAt } from './listen-at.ts'
import { createOpaApi, type OpaApiNeeds } from './opa-api.ts'
import { createOperators, isFromAnotherSite, type Operator, type OperatorsNeeds } from './operators.ts'
import { PAGE_POLICY, pageFile } from './page.ts'
import { createTlsDoor, type TlsMaterial } from './tls-options.ts'

export interface AdminListener {
  /** @returns The port. */
  listen(host: string, port: number): Promise<number>
  /** For new connections. */
  renewTls(material: TlsMaterial): void
  close(): Promise<void>
}

export interface AdminListenerNeeds {
  readonly operators: OperatorsNeeds
  /** Undefined: plain HTTP. */
  readonly tls: TlsMaterial | undefined
  /** How long browsers are told to stay with TLS, if at all. */
  readonly hstsSeconds: number | undefined
  ready(): { readonly ok: boolean; readonly checks: Readonly<Record<string, boolean>> }
  status(): object | Promise<object>
  /** @param query - `by` and `since`, where they were given. */
  usage(query: { readonly by?: string; readonly since?: string }): Promise<AdminAnswer>
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>
  readonly journal: DecisionJournal
  readonly live: LiveTraffic
  /** How the limits stand that were named lately, the one nearest its end first. */
  limits(): object | Promise<object>
  readonly opa: OpaApiNeeds
  reloadPolicy(): Promise<object>
  /** @param revision - Without one: what was in force before. */
  rollbackPolicy(revision: string | undefined): AdminAnswer | Promise<AdminAnswer>
  readonly access: AdminAccess
  /** Rejects when the event cannot be written; then nothing is done. */
  audited(event: string, facts: object): Promise<void>
}

export interface LiveTraffic {
  /** The last minutes, second by second. */
  snapshot(): object | Promise<object>
  /** @returns what ends it. */
  follow(listener: (second: object) => void): () => void
}

const MOST_QUESTION = '8mb'

export function createAdminListener(needs: AdminListenerNeeds): AdminListener {
  const operators = createOperators(needs.operators)
  const feed = createDecisionFeed(needs.journal)
  const data = createOpaApi(needs.opa)
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.use(shield)

  /** Any other method is told which there are. */
  function route(path: string, methods: Methods): void {
    const at = app.route(path)
    if (methods.get) at.get(...methods.get)
    if (methods.post) at.post(...methods.post)
    if (methods.delete) at.delete(...methods.delete)
    at.all((_request, response) => notAllowed(response, Object.keys(methods)))
  }

  function shield(request: Request, response: Response, next: NextFunction): void {
    response.set(SHIELD)
    if (needs.hstsSeconds !== undefined)
      response.set('strict-transport-security', `max-age=${needs.hstsSeconds}`)
    if (!operators.knows(request.headers.host)) refuse(response, 403, 'forbidden', 'Not by this name')
    else next()
  }

  function guard(request: Request, response: Response, next: NextFunction): void {
    const operator = operators.identify(request)
    if (operator) {
      response.locals.operator = operator
      next()
      return
    }
    response.set('www-authenticate', 'Bearer realm="sallyport admin"')
    refuse(response, 401, 'unauthenticated', 'The admin token is needed')
  }

  /** Only for who operates; who tried and may not is on record. */
  function mayOperate(action: string): express.RequestHandler {
    return async (_request, response, next) => {
      const { address, ...by } = response.locals.operator as Operator
      if (by.role === 'operate') return next()
      await needs.audited('admin.refused', { action, by, address }).catch(() => {})
      refuse(response, 403, 'forbidden', 'This token may read, and not operate')
    }
  }

  /** On record before it is done, or not done. */
  function recorded(
    action: string,
    facts: (request: Request) => object = () => ({}),
  ): express.RequestHandler {
    return async (request, response, next) => {
      const { address, ...by } = response.locals.operator as Operator
      try {
        await needs.audited(`admin.${action}`, { by, address, ...facts(request) })
      } catch {
        response.set('retry-after', '5')
        return refuse(response, 503, 'audit_unavailable', 'The audit log cannot be written')
      }
      next()
    }
  }

  route('/healthz', { get: [(_request, response) => void response.json({ ok: true })] })
  route('/readyz', {
    get: [
      (_request, response) => {
        const ready = needs.ready()
        response.status(ready.ok ? 200 : 503).json(ready)
      },
    ],
  })
  // What OPA's clients ask before they ask anything else.
  route('/health', {
    get: [
      (request, response) => {
        const wantsPolicy = 'bundles' in request.query || 'plugins' in request.query
        const well = !wantsPolicy || needs.opa.revision() !== undefined
        response.status(well ? 200 : 500).json({})
      },
    ],
  })
  route('/', { get: [(_request, response) => response.redirect('/ui/')] })
  app.use('/ui', (request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return notAllowed(response, ['get'])
    if (request.originalUrl.split('?', 1)[0] === '/ui') return response.redirect('/ui/')
    const file = pageFile(request.path.slice(1))
    if (!file) return notFound(response)
    response.set('content-security-policy', PAGE_POLICY)
    response.set('content-type', file.contentType).send(file.bytes)
  })

  app.use(guard)
  app.use((request, response, next) => {
    if (request.method !== 'GET' && request.method !== 'HEAD' && isFromAnotherSite(request))
      refuse(response, 403, 'forbidden', 'Not from a page of another site')
    else next()
  })
  route('/metrics', {
    get: [
      async (_request, response) => {
        const { contentType, text } = await needs.metrics()
        response.set('content-type', contentType).send(text)
      },
    ],
  })
  route('/status', { get: [async (_request, response) => void response.json(await needs.status())] })
  route('/usage', {
    get: [
      async (request, response) => {
        const { by, since } = request.query
        const { status, body } = await needs.usage({
          ...(by === undefined ? {} : { by: String(by) }),
          ...(since === undefined ? {} : { since: String(since) }),
        })
        if (status === 200) return void response.json(body)
        const { code, message } = body as { code: string; message: string }
        refuse(response, status, code, message)
      },
    ],
  })
  route('/limits', { get: [async (_request, response) => void response.json(await needs.limits())] })
  route('/operator', { get: [(_request, response) => void response.json(response.locals.operator)] })
  route('/live', { get: [(request, response) => answerLive(request, response)] })
  route('/decisions', { get: [(request, response) => feed.answer(request, response, queryOf(request))] })
  route('/decisions/:id', {
    get: [
      async (request, response) => {
        const text = await feed.find(String(request.params.id))
        if (text === undefined) notFound(response)
        else response.type('json').send(text)
      },
    ],
  })
  app.use('/v1/data', express.raw({ type: () => true, limit: MOST_QUESTION }), (request, response) => {
    if (request.method !== 'GET' && request.method !== 'POST') return notAllowed(response, ['get', 'post'])
    const { method, path } = request
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
    const { status, text } = data({ method, path, query: queryOf(request), body })
    response.status(status).set('content-type', 'application/json').send(text)
  })
  route('/policy/reload', {
    post: [
      mayOperate('reload'),
      recorded('reload'),
      async (_request, response) => void response.json(await needs.reloadPolicy()),
    ],
  })
  route('/policy/rollback', {
    post: [
      mayOperate('rollback'),
      express.json({ type: () => true, limit: '4kb' }),
      checkRollback,
      recorded('rollback', request => ({ revision: revisionIn(request) ?? null })),
      async (request, response) => {
        const { status, body } = await needs.rollbackPolicy(revisionIn(request) as string | undefined)
        response.status(status).json(body)
      },
    ],
  })
  for (const [path, methods] of Object.entries(accessRoutes(needs.access, mayOperate))) route(path, methods)
  app.use((_request, response) => notFound(response))
  app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) => {
    if (response.headersSent) return void response.destroy()
    if (error instanceof BadFilter) return refuse(response, 400, 'invalid_request', error.message)
    if (error instanceof GatewayError) return refuse(response, error.status, error.code, error.title)
    const status = Number((error as { status?: unknown }).status)
    if (status === 413) return refuse(response, 413, 'payload_too_large', 'The body is too large')
    if (status < 500) return refuse(response, 400, 'invalid_request', 'The request is malformed')
    refuse(response, 500, 'server_error', 'The gateway failed')
  })

  async function answerLive(request: IncomingMessage, response: Response): Promise<void> {
    const snapshot = await needs.live.snapshot()
    if (!wantsEvents(request)) return void response.json(snapshot)
    const stream = openEventStream(response, () => stop())
    stream.send({ event: 'snapshot', data: JSON.stringify(snapshot) })
    const stop = needs.live.follow(second => stream.send({ event: 'second', data: JSON.stringify(second) }))
  }

  const options = { requestTimeout: 60_000, headersTimeout: 20_000 }
  const door = needs.tls && createTlsDoor(needs.tls)
  // Who brings no good certificate may still bring a token.
  const secure = door && https.createServer({ ...options, ...door.options }, app)
  const server = secure ?? http.createServer(options, app)
  return {
    listen: (host, port) => listenAt(server, { host, port }),
    renewTls(material) {
      if (door) secure?.setSecureContext(door.renew(material))
    },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Nothing here is to be kept, guessed at, framed or read by another site. */
const SHIELD = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
}

function queryOf({ originalUrl }: Request): URLSearchParams {
  const at = originalUrl.indexOf('?')
  return new URLSearchParams(at < 0 ? '' : originalUrl.slice(at + 1))
}

function revisionIn({ body }: Request): unknown {
  return (body as { revision?: unknown } | undefined)?.revision
}

function checkRollback(request: Request, response: Response, next: NextFunction): void {
  const revision = revisionIn(request)
  if (revision === undefined || typeof revision === 'string') next()
  else refuse(response, 400, 'invalid_request', 'revision is not a string')
}

function notFound(response: Response): void {
  refuse(response, 404, 'not_found', 'There is nothing at this address')
}

function notAllowed(response: Response, methods: readonly string[]): void {
  const allowed = methods.flatMap(name => (name === 'get' ? ['GET', 'HEAD'] : [name.toUpperCase()]))
  response.set('allow', allowed.join(', '))
  refuse(response, 405, 'method_not_allowed', `Only ${allowed.join(', ')}`)
}

function refuse(response: Response | ServerResponse, status: number, code: string, message: string): void {
  ;(response as Response)
    .status(status)
    .type('json')
    .send(errorBody(code, status, message))
}
