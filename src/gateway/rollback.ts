/**
 * What an operator who asks for an earlier revision is told.
 */
import { type Activation, NotHeld, Refused } from '../policy/activate/activation.ts'

export interface RollbackAnswer {
  readonly status: 200 | 404 | 409
  readonly body: object
}

export function rollBack(policy: Activation, revision: string | undefined): RollbackAnswer {
  try {
    const done = policy.rollback(revision)
    return { status: 200, body: { ...done, policy: policy.status() } }
  } catch (error) {
    if (error instanceof NotHeld) return refusal(404, error, { held: error.held })
    if (error instanceof Refused) return refusal(409, error, { diagnostics: error.findings })
    throw error
  }
}

function refusal(status: 404 | 409, { code, message }: NotHeld | Refused, facts: object): RollbackAnswer {
  return { status, body: { error: { message, code }, ...facts } }
}
