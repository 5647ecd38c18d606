/** What the page is told, besides what every gateway tells of itself. */
export type {
  Attempt,
  AuditState,
  CandidateStatus,
  Diagnostic,
  LimitStanding,
  PolicyStatus,
  PoolStatus,
  PulseRates,
  PulseSecond,
  Status,
  TargetStatus,
  Verdict,
  WorkerState,
} from '../contract/seen.ts'

export interface Operator {
  readonly name: string
  readonly role: 'read' | 'operate'
  readonly method: string
}

export interface AccessRequest {
  readonly id: string
  readonly state: string
  readonly models: readonly string[]
  readonly roles?: readonly string[]
  readonly duration: string
  readonly reason?: string | null
  readonly ticket?: string | null
  readonly requested_by: string | { readonly id?: string }
  readonly created_at: string
  readonly pending_until?: string | null
}

/** An audit record of a decision, with its outcome once it has one. */
export interface Decision {
  readonly decision_id: string
  readonly timestamp: string
  readonly request_id?: string
  readonly requested_by?: string
  readonly code?: string
  readonly error?: string
  readonly outcome?: string
  readonly pool?: string
  readonly target?: string
  readonly http?: Readonly<Record<string, unknown>>
  readonly principal?: {
    readonly id: string
    readonly kind?: string
    readonly team?: string | null
    readonly roles?: readonly string[]
    readonly method?: string
  }
  readonly input?: {
    readonly request?: {
      readonly model?: string | null
      readonly operation?: string
      readonly stream?: boolean
    }
  }
  readonly result?: {
    readonly allow?: boolean
    readonly rule?: string
    readonly reasons?: readonly string[]
    readonly message?: string
    readonly rewrite?: object
  }
  readonly limits?: readonly { name: string; key: string; unit: string; limit: number; remaining: number }[]
  readonly labels?: Readonly<Record<string, string>>
  readonly bundles?: { readonly gateway?: { readonly revision?: string } }
  readonly metrics?: Readonly<Record<string, number>>
  readonly usage?: {
    readonly input_tokens: number
    readonly output_tokens: number
    readonly cost: number
    readonly estimated: boolean
  }
  readonly timings?: Readonly<Record<string, number | null>>
  readonly trace_id?: string
}
