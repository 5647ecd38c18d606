/**
 * `access request|list|approve|deny|revoke|return`: just-in-time access, against a running gateway.
 */
import { askGateway, type CallerOptions, gatewayUrl } from './caller-client.ts'
import { CommandExit, EXIT, print, printJson, table } from './output.ts'

interface AccessRequest {
  readonly id: string
  readonly state: 'pending' | 'approved' | 'denied' | 'expired'
  readonly models: readonly string[]
  readonly roles: readonly string[]
  readonly duration: string
  readonly reason: string
  readonly requested_by: string
  readonly pending_until: string
  readonly approvals: readonly { readonly id: string }[]
  readonly denied_by: string | null
  readonly comment: string | null
  readonly grant: { readonly id: string; readonly starts_at: string; readonly expires_at: string } | null
  readonly token: string | null
}

interface Grant {
  readonly id: string
  readonly state: string
  readonly principal: string
  readonly models: readonly string[]
  readonly roles: readonly string[]
  readonly expires_at: string
  readonly approved_by: string | null
  readonly reason: string
}

export interface RequestFlags {
  readonly models: readonly string[]
  readonly roles: readonly string[]
  readonly duration: string
  readonly reason: string
  readonly ticket?: string | undefined
  readonly notBefore?: string | undefined
  readonly emergency: boolean
  readonly token: boolean
  readonly wait: boolean
}

export async function requestAccess(flags: RequestFlags, options: CallerOptions): Promise<void> {
  const { models, roles, duration, reason, ticket, notBefore, emergency, token } = flags
  let request = await askGateway<AccessRequest>(options, 'POST', '/-/access/requests', {
    models,
    roles,
    duration,
    reason,
    emergency,
    token,
    ...(ticket === undefined ? {} : { ticket }),
    ...(notBefore === undefined ? {} : { not_before: notBefore }),
  })
  if (flags.wait && request.state === 'pending' && options.format === 'pretty')
    print(`${request.id} waits for approval, until ${request.pending_until} at most`)
  while (flags.wait && request.state === 'pending')
    request = await askGateway(options, 'GET', `/-/access/requests/${request.id}?wait=60s`)
  if (options.format === 'json') printJson(request)
  else print(told(request, gatewayUrl(options)))
  if (request.state === 'denied' || request.state === 'expired') throw new CommandExit(EXIT.findings)
}

function told(request: AccessRequest, url: string): string {
  const { id, state, grant, approvals, token, models } = request
  if (state === 'pending') return `${id} waits for approval, until ${request.pending_until} at most`
  if (state === 'denied')
    return `${id} was denied by ${request.denied_by}${request.comment ? `: ${request.comment}` : ''}`
  if (state === 'expired' || !grant) return `${id} has expired: nobody decided in time`
  const by = approvals.length > 0 ? approvals.map(approval => approval.id).join(', ') : 'the policy'
  const model = models[0] ?? 'MODEL'
  return [
    `${id} was approved by ${by}: ${grant.id}, from ${grant.starts_at} until ${grant.expires_at}`,
    ...(token === null ? [] : ['', `export SALLYPORT_KEY=${token}`]),
    '',
    `curl ${new URL('/v1/chat/completions', url)} -H "authorization: Bearer $SALLYPORT_KEY" \\`,
    `  -d '${JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }] })}'`,
    '',
    `sallyport access return ${grant.id}   # when you are done`,
  ].join('\n')
}

export async function listAccess(all: boolean, options: CallerOptions): Promise<void> {
  const { requests } = await askGateway<{ requests: AccessRequest[] }>(options, 'GET', '/-/access/requests')
  const { grants } = await askGateway<{ grants: Grant[] }>(
    options,
    'GET',
    `/-/access/grants${all ? '?all=true' : ''}`,
  )
  if (options.format === 'json') {
    printJson({ requests, grants })
    return
  }
  const rows = requests.map(({ id, state, requested_by, models, roles, duration, reason }) => [
    id,
    state,
    requested_by,
    [...models, ...roles].join(', '),
    duration,
    reason,
  ])
  const lent = grants.map(({ id, state, principal, models, roles, expires_at, approved_by, reason }) => [
    id,
    state,
    principal,
    [...models, ...roles].join(', '),
    expires_at,
    approved_by ?? 'the policy',
    reason,
  ])
  print(table([['REQUEST', 'STATE', 'BY', 'FOR', 'DURATION', 'REASON'], ...rows]))
  print('')
  print(table([['GRANT', 'STATE', 'HOLDER', 'FOR', 'UNTIL', 'APPROVED BY', 'REASON'], ...lent]))
}

export async function decideAccess(
  id: string,
  word: 'approve' | 'deny',
  comment: string | undefined,
  options: CallerOptions,
): Promise<void> {
  const body = comment === undefined ? {} : { comment }
  const request = await askGateway<AccessRequest>(
    options,
    'POST',
    `/-/access/requests/${encodeURIComponent(id)}/${word}`,
    body,
  )
  if (options.format === 'json') printJson(request)
  else if (request.state === 'pending') print(`${id} waits for more approvals`)
  else print(`${id} is ${request.state}`)
}

/** Revoked where it is somebody else's, given back where it is the caller's own. */
export async function endAccess(
  grantId: string,
  comment: string | undefined,
  options: CallerOptions,
): Promise<void> {
  const body = comment === undefined ? undefined : { comment }
  const path = `/-/access/grants/${encodeURIComponent(grantId)}`
  const grant = await askGateway<Grant>(options, 'DELETE', path, body)
  if (options.format === 'json') printJson(grant)
  else print(`${grant.id} is ${grant.state}`)
}
