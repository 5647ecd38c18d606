/** What the admin listener answers, as far as the page shows it. What an older gateway leaves out is optional. */
export interface Status {
  readonly version: string
  readonly uptime_seconds: number
  readonly policy: PolicyStatus
  readonly pools: Readonly<Record<string, PoolStatus>>
  readonly store: { readonly engine: string; readonly ok: boolean }
  readonly audit: AuditStatus
}

export interface PolicyStatus {
  readonly revision: string | null
  readonly activated_at: string | null
  readonly changed_at: string | null
  readonly checked_at: string | null
  readonly confirmed_at?: string | null
  readonly rolled_back_from?: string | null
  readonly held?: readonly string[]
  readonly attempts: readonly Attempt[]
  readonly candidate?: Candidate
}

export interface Attempt {
  readonly at: string
  readonly outcome: 'activated' | 'refused'
  readonly revision: string | null
  readonly from?: string
  readonly steps: readonly { readonly name: string; readonly ms: number }[]
  readonly diagnostics: readonly Diagnostic[]
}

export interface Diagnostic {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly message: string
  readonly code?: string
}

export interface Candidate {
  readonly revision: string | null
  readonly decided: number
  readonly flips: number
  readonly mean_us?: number | null
  readonly examples?: readonly Flip[]
}

export interface Flip {
  readonly decision_id: string
  readonly at: string
  readonly principal: string
  readonly model: string | null
  readonly in_force: Verdict
  readonly candidate: Verdict
}

export interface Verdict {
  readonly allow: boolean
  readonly code: string | null
  readonly rule: string | null
}

export interface PoolStatus {
  readonly models?: readonly string[]
  readonly targets: readonly TargetStatus[]
  readonly queued?: number
  readonly queue?: { readonly depth?: number; readonly waiting?: number; readonly max?: number }
}

export interface TargetStatus {
  readonly url: string
  readonly healthy: boolean
  readonly in_flight: number
  readonly slots?: number | null
  readonly kind?: string
  readonly weight?: number
  readonly failures?: number
  readonly breaker?: string | { readonly state?: string }
  readonly state?: string
}

export interface AuditStatus {
  readonly ok: boolean
  readonly seq: number
  readonly lost?: number
  readonly sinks?: readonly Readonly<Record<string, unknown>>[]
}

export interface Second {
  readonly at: number
  readonly requests: number
  readonly refused: number
  readonly failed: number
  readonly input_tokens: number
  readonly output_tokens: number
  readonly p50_ms: number | null
  readonly p99_ms: number | null
}

export interface Rates {
  readonly requests_per_second: number
  readonly refusals_per_second: number
  readonly failures_per_second: number
  readonly input_tokens_per_second: number
  readonly output_tokens_per_second: number
  readonly p50_ms: number | null
  readonly p99_ms: number | null
}

export interface LimitStanding {
  readonly name: string
  readonly key: string
  readonly unit: string
  readonly limit: number
  readonly remaining: number
  readonly used: number
  readonly observe?: boolean
  readonly resets_at: string | null
}

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
