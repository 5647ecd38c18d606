/**
 * Access as an operator sees it: everything that is asked for and granted, and the last word on it.
 */
import type { Access } from '../access/access.ts'
import { OPERATOR } from '../access/deciding.ts'
import type { GrantDocument } from '../access/document.ts'
import { grantView, requestView } from '../access/views.ts'
import { errorBody, GatewayError } from '../contract/errors.ts'
import type { EpochMs } from '../contract/units.ts'
import { ageAt, judgeOf } from '../corridor/access-api.ts'
import type { Revision } from '../policy/revision.ts'
import { newId } from '../server/ids.ts'
import type { Operator } from '../server/operators.ts'

export interface OperatorAnswer {
  readonly status: number
  readonly body: object
}

export interface AccessOperator {
  requests(): OperatorAnswer
  grants(): OperatorAnswer
  decide(id: string, approve: boolean, comment: string | null, by: Operator): Promise<OperatorAnswer>
  revoke(grantId: string, comment: string | null, by: Operator): Promise<OperatorAnswer>
}

export interface AccessOperatorNeeds {
  readonly access: Access
  readonly policy: { current(): Revision | undefined; confirmedAt(): EpochMs | undefined }
  now(): EpochMs
  /** Resolves when the event is in the audit log. @throws GatewayError `audit_unavailable` */
  record(event: string, facts: object): Promise<void>
}

export function createAccessOperator({ access, policy, now, record }: AccessOperatorNeeds): AccessOperator {
  const { desk, directory } = access

  function judge() {
    const at = now()
    const revision = policy.current()
    if (!revision) throw new GatewayError('policy_error', 'no policy is in force', { status: 503 })
    return judgeOf(
      revision,
      { nowNs: BigInt(at) * 1_000_000n, seed: newId(at) },
      ageAt(at, policy.confirmedAt()),
    )
  }

  const latest = () =>
    directory
      .all()
      .map(({ value }) => value)
      .sort((one, other) => other.createdAt - one.createdAt)

  return {
    requests: () => ({ status: 200, body: { requests: latest().map(one => requestView(one, now())) } }),
    grants: () => ({
      status: 200,
      body: {
        grants: latest()
          .filter(({ grant }) => grant)
          .map(one => grantView(one, one.grant as GrantDocument, now())),
      },
    }),
    decide: (id, approve, comment, operator) =>
      answered(async () => {
        const document = await desk.decideAsOperator(id, approve, comment, judge())
        await record(`admin.access_${approve ? 'approved' : 'denied'}`, {
          access_request: id,
          by: OPERATOR,
          operator,
          comment,
        })
        return requestView(document, now())
      }),
    revoke: (grantId, comment, operator) =>
      answered(async () => {
        const document = await desk.endAsOperator(grantId, comment)
        await record('admin.access_revoked', { grant: grantId, by: OPERATOR, operator, comment })
        return grantView(document, document.grant as GrantDocument, now())
      }),
  }
}

async function answered(work: () => Promise<object>): Promise<OperatorAnswer> {
  try {
    return { status: 200, body: await work() }
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    return { status: error.status, body: JSON.parse(errorBody(error.code, error.status, error.title)) }
  }
}
