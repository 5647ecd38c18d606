/**
 * Verdicts: what the rule `gateway/access` is asked, and what its answer means for one approver.
 */
import { type AccessVerdict, accessSchema, type GrantFacts } from '../contract/access.schema.ts'
import { GatewayError } from '../contract/errors.ts'
import type { Principal } from '../contract/input.schema.ts'
import { compileSchema } from '../contract/schema.ts'
import type { AccessDocument } from './document.ts'

/** What is asked, but for the time and the policy's own facts, which the asker adds. */
export interface AccessQuestion {
  readonly principal: Principal
  readonly access: {
    readonly models: readonly string[]
    readonly roles: readonly string[]
    readonly duration_seconds: number
    readonly reason: string
    readonly ticket: string | null
    readonly emergency: boolean
  }
  /** Null while nobody approves. */
  readonly approver: Principal | null
  readonly approvals: readonly {
    readonly id: string
    readonly roles: readonly string[]
    readonly at: string
  }[]
  readonly grants: readonly GrantFacts[]
}

/** The policy of one moment. */
export interface Judge {
  /** @returns JSON text, undefined where the policy has no answer. @throws GatewayError `policy_error` */
  ask(question: AccessQuestion): string | undefined
}

const validate = compileSchema(accessSchema)

/** @throws GatewayError `forbidden` without an answer, `policy_error` when it has the wrong shape. */
export function verdictOn(question: AccessQuestion, judge: Judge): AccessVerdict {
  const text = judge.ask(question)
  if (text === undefined) {
    throw new GatewayError('forbidden', 'the policy has no answer for gateway/access', {
      title: 'The policy offers no access on request',
    })
  }
  const value: unknown = JSON.parse(text)
  const [problem] = validate(value)
  if (!problem) return value as AccessVerdict
  throw new GatewayError(
    'policy_error',
    `the answer of gateway/access has the wrong shape: ${problem.pointer || '/'} ${problem.message}`,
  )
}

export function questionAbout(
  document: AccessDocument,
  approver: Principal | null,
  grants: readonly GrantFacts[],
): AccessQuestion {
  const { principal, models, roles, durationMs, reason, ticket, emergency, approvals } = document
  return {
    principal,
    access: { models, roles, duration_seconds: durationMs / 1000, reason, ticket, emergency },
    approver,
    approvals: approvals.map(({ id, roles, at }) => ({ id, roles, at: new Date(at).toISOString() })),
    grants,
  }
}

/** Whether the answer names this approver, by role or by id. */
export function isApprover({ approvers }: AccessVerdict, { id, roles }: Principal): boolean {
  return (
    (approvers?.ids?.includes(id) ?? false) || (approvers?.roles?.some(role => roles.includes(role)) ?? false)
  )
}
