/**
 * The admin listener: health, readiness, metrics, status, and what an operator may do.
 *
 * On loopback without a token; anywhere else a token is demanded of everything but the two probes.
 */
import { hash, timingSafeEqual } from 'node:crypto'
import http from 'node:http'
import express, { type NextFunction, type Request, type Response } from 'express'
import { errorBody } from '../contract/errors.ts'

export interface AdminListener {
  /** @returns The port. */
  listen(host: string, port: number): Promise<number>
  close(): Promise<void>
}

export interface AdminListenerNeeds {
  readonly token: string | undefined
  ready(): { readonly ok: boolean; readonly checks: Readonly<Record<string, boolean>> }
  status(): object
  /** @param query - `by` and `since`, where they were given. */
  usage(query: { readonly by?: string; readonly since?: string }): Promise<AdminAnswer>
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>
  reloadPolicy(): Promise<object>
  /** @param revision - Without one: what was in force before. */
  rollbackPolicy(revision: string | undefined): AdminAnswer
  readonly access: AdminAccess
}

export interface AdminAnswer {
  readonly status: number
  readonly body: object
}

/** What is asked for and granted, and an operator's word on it. */
export interface AdminAccess {
  requests(): AdminAnswer
  grants(): AdminAnswer
  decide(id: string, approve: boolean, comment: string | null): Promise<AdminAnswer>
  revoke(grantId: string, comment: string | null): Promise<AdminAnswer>
}

export function createAdminListener(needs: AdminListenerNeeds): AdminListener {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.get('/healthz', (_request, response) => void response.json({ ok: true }))
  app.get('/readyz', (_request, response) => {
    const ready = needs.ready()
    response.status(ready.ok ? 200 : 503).json(ready)
  })
  app.use(guard(needs.token))
  app.use(refuseBrowsers)
  app.get('/metrics', async (_request, response) => {
    const { contentType, text } = await needs.metrics()
    response.set('content-type', contentType).send(text)
  })
  app.get('/status', (_request, response) => void response.json(needs.status()))
  app.get('/usage', async (request, response) => {
    const { by, since } = request.query
    const { status, body } = await needs.usage({
      ...(by === undefined ? {} : { by: String(by) }),
      ...(since === undefined ? {} : { since: String(since) }),
    })
    if (status === 200) {
      response.json(body)
      return
    }
    const { code, message } = body as { code: string; message: string }
    response
      .status(status)
      .type('json')
      .send(errorBody(code, status, message))
  })
  app.post('/policy/reload', async (_request, response) => void response.json(await needs.reloadPolicy()))
  app.post('/policy/rollback', express.json({ type: () => true, limit: '4kb' }), (request, response) => {
    const { revision } = (request.body ?? {}) as { revision?: unknown }
    if (revision !== undefined && typeof revision !== 'string') {
      invalid(response, 'revision is not a string')
      return
    }
    const { status, body } = needs.rollbackPolicy(revision)
    response.status(status).json(body)
  })
  addAccess(app, needs.access)
  app.use(
    (_request, response) =>
      void response
        .status(404)
        .type('json')
        .send(errorBody('not_found', 404, 'There is nothing at this address')),
  )
  app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) => {
    if (Number((error as { status?: unknown }).status) < 500) {
      invalid(response, 'The request is malformed')
      return
    }
    response
      .status(500)
      .type('json')
      .send(errorBody('server_error', 500, 'The gateway failed'))
  })

  const server = http.createServer(app)
  return {
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, host, () => {
          server.off('error', reject)
          resolve((server.address() as { port: number }).port)
        })
      }),
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function addAccess(app: express.Express, access: AdminAccess): void {
  const json = express.json({ type: () => true, limit: '16kb' })
  const tell = (response: Response, { status, body }: AdminAnswer): void =>
    void response.status(status).json(body)
  app.get('/access/requests', (_request, response) => tell(response, access.requests()))
  app.get('/access/grants', (_request, response) => tell(response, access.grants()))
  for (const word of ['approve', 'deny'] as const) {
    app.post(`/access/requests/:id/${word}`, json, async (request, response) => {
      const comment = commentOf(request.body)
      if (comment === undefined) return invalid(response, 'expected {"comment": "…"} or nothing')
      tell(response, await access.decide(String(request.params.id), word === 'approve', comment))
    })
  }
  app.delete('/access/grants/:id', json, async (request, response) => {
    const comment = commentOf(request.body)
    if (comment === undefined) return invalid(response, 'expected {"comment": "…"} or nothing')
    tell(response, await access.revoke(String(request.params.id), comment))
  })
}

/** @returns Undefined for a body that is something else. */
function commentOf(body: unknown): string | null | undefined {
  const { comment, ...rest } = (body ?? {}) as { comment?: unknown }
  if (Object.keys(rest).length > 0) return undefined
  if (comment === undefined) return null
  return typeof comment === 'string' ? comment : undefined
}

function invalid(response: Response, message: string): void {
  response
    .status(400)
    .type('json')
    .send(errorBody('invalid_request', 400, message))
}

/** A page of another site can make a browser send a POST here; a browser then names the site. */
function refuseBrowsers(request: Request, response: Response, next: NextFunction): void {
  if (request.method === 'GET' || request.get('origin') === undefined) {
    next()
    return
  }
  response
    .status(403)
    .type('json')
    .send(errorBody('forbidden', 403, 'Not from a web page'))
}

function guard(token: string | undefined) {
  const wanted = token === undefined ? undefined : digest(token)
  return (request: Request, response: Response, next: NextFunction): void => {
    const given = /^Bearer (.+)$/i.exec(request.get('authorization') ?? '')?.[1] ?? ''
    if (!wanted || timingSafeEqual(digest(given), wanted)) {
      next()
      return
    }
    response
      .status(401)
      .set('www-authenticate', 'Bearer realm="sallyport admin"')
      .type('json')
      .send(errorBody('unauthenticated', 401, 'The admin token is needed'))
  }
}

function digest(text: string): Buffer {
  return hash('sha256', text, 'buffer')
}
