/**
 * Access on the admin listener: what is asked for and granted, and an operator's word on it.
 */
import express, { type RequestHandler, type Response } from 'express'
import { errorBody } from '../contract/errors.ts'
import type { Operator } from './operators.ts'

export interface AdminAnswer {
  readonly status: number
  readonly body: object
}

export interface AdminAccess {
  requests(): AdminAnswer
  grants(): AdminAnswer
  decide(id: string, approve: boolean, comment: string | null, by: Operator): Promise<AdminAnswer>
  revoke(grantId: string, comment: string | null, by: Operator): Promise<AdminAnswer>
}

export type Methods = Partial<Record<'get' | 'post' | 'delete', RequestHandler[]>>

/** @param mayOperate - Lets only those by who may change something. @returns Handlers by path and method. */
export function accessRoutes(
  access: AdminAccess,
  mayOperate: (action: string) => RequestHandler,
): Readonly<Record<string, Methods>> {
  const body = express.json({ type: () => true, limit: '16kb' })
  const decided = (word: 'approve' | 'deny'): Methods => ({
    post: [
      mayOperate(`access_${word}`),
      body,
      withComment((id, comment, by) => access.decide(id, word === 'approve', comment, by)),
    ],
  })
  return {
    '/access/requests': { get: [(_request, response) => tell(response, access.requests())] },
    '/access/grants': { get: [(_request, response) => tell(response, access.grants())] },
    '/access/requests/:id/approve': decided('approve'),
    '/access/requests/:id/deny': decided('deny'),
    '/access/grants/:id': { delete: [mayOperate('access_revoke'), body, withComment(access.revoke)] },
  }
}

function withComment(
  act: (id: string, comment: string | null, by: Operator) => Promise<AdminAnswer>,
): RequestHandler {
  return async (request, response) => {
    const comment = commentOf(request.body)
    if (comment === undefined) {
      const text = errorBody('invalid_request', 400, 'expected {"comment": "…"} or nothing')
      return void response.status(400).type('json').send(text)
    }
    tell(response, await act(String(request.params.id), comment, response.locals.operator as Operator))
  }
}

function tell(response: Response, { status, body }: AdminAnswer): void {
  response.status(status).json(body)
}

/** @returns Undefined for a body that is something else. */
function commentOf(body: unknown): string | null | undefined {
  const { comment, ...rest } = (body ?? {}) as { comment?: unknown }
  if (Object.keys(rest).length > 0) return undefined
  if (comment === undefined) return null
  return typeof comment === 'string' ? comment : undefined
}
