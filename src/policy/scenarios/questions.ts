/**
 * Cases and matrices → questions: one principal, one request, one instant, one expectation.
 */
import type { Finding } from '../../contract/findings.ts'
import type { Principal } from '../../contract/input.schema.ts'
import type {
  Expectation,
  Scenario,
  ScenarioCase,
  ScenarioGrant,
  ScenarioMatrix,
  ScenarioPrincipal,
  ScenarioRequest,
} from '../../contract/scenario.schema.ts'
import type { EpochMs } from '../../contract/units.ts'
import { type Path, showPath } from '../paths.ts'
import { type ScenarioFile, scenarioFinding } from './read.ts'

export interface Question {
  readonly name: string
  readonly file: string
  /** Of what is expected. */
  readonly line: number
  readonly principal: Principal
  readonly request: ScenarioRequest
  readonly at: EpochMs
  /** In force at that instant. */
  readonly grants: readonly object[]
  /** Merged over the policy's data, in this order. */
  readonly data: readonly Readonly<Record<string, unknown>>[]
  /** Undefined: the matrix says nothing of this cell. */
  readonly expect: Expectation | undefined
}

export interface Questions {
  readonly questions: readonly Question[]
  readonly findings: readonly Finding[]
}

/** Where a file says no instant: always the same, or a test would pass by day and fail by night. */
export const UNLESS_SAID = '2026-01-01T12:00:00Z'
const ANY = '*'

export function questionsIn(file: ScenarioFile): Questions {
  const reader = new Reader(file)
  const { scenario } = file
  const questions = [
    ...(scenario.cases ?? []).flatMap((given, index) => reader.case(given, index)),
    ...(scenario.matrix ?? []).flatMap((given, index) => reader.matrix(given, index)),
  ]
  return { questions, findings: reader.findings }
}

class Reader {
  readonly findings: Finding[] = []
  private readonly scenario: Scenario

  constructor(private readonly source: ScenarioFile) {
    this.scenario = source.scenario
  }

  case(given: ScenarioCase, index: number): Question[] {
    const at: Path = ['cases', index]
    const { name, principal, request, grants = [], data, expect } = given
    const who =
      typeof principal === 'string' ? this.principal(principal, [...at, 'principal']) : principalOf(principal)
    const what = typeof request === 'string' ? this.request(request, [...at, 'request']) : request
    if (!who || !what) return []
    const now = this.instant(given.at)
    return [
      {
        name,
        file: this.source.file,
        line: this.source.place(at).line,
        principal: who,
        request: what,
        at: now,
        grants: grants
          .map((grant, index) => grantOf(grant, index, now))
          .filter(({ ends }) => ends > now)
          .map(({ grant }) => grant),
        data: [this.scenario.data, data].filter(data => data !== undefined),
        expect,
      },
    ]
  }

  matrix(matrix: ScenarioMatrix, index: number): Question[] {
    const at: Path = ['matrix', index]
    const instants = typeof matrix.at === 'string' || matrix.at === undefined ? [matrix.at] : matrix.at
    this.unused(matrix, at)
    const questions: Question[] = []
    for (const instant of instants) {
      for (const [i, principal] of matrix.principals.entries()) {
        const who = this.principal(principal, [...at, 'principals', i])
        for (const [j, request] of matrix.requests.entries()) {
          // An unknown name is told once.
          const what = this.request(request, [...at, 'requests', j])
          if (!who || !what) continue
          const expected = mostSpecific(matrix.expect, principal, request)
          questions.push({
            name: `${principal} × ${request}${instants.length > 1 ? ` at ${instant}` : ''}`,
            file: this.source.file,
            line: this.source.place(expected ? [...at, 'expect', ...expected.path] : [...at, 'expect'], 'key')
              .line,
            principal: who,
            request: what,
            at: this.instant(instant),
            grants: [],
            data: this.scenario.data ? [this.scenario.data] : [],
            expect: expected?.expect,
          })
        }
      }
    }
    return questions
  }

  private principal(name: string, at: Path): Principal | undefined {
    const named = own(this.scenario.principals, name)
    if (!named) this.unknown('principal', name, this.scenario.principals, at)
    return named && principalOf({ id: name, ...named })
  }

  private request(name: string, at: Path): ScenarioRequest | undefined {
    const named = own(this.scenario.requests, name)
    if (!named) this.unknown('request', name, this.scenario.requests, at)
    return named
  }

  private instant(given: string | undefined): EpochMs {
    return Date.parse(given ?? this.scenario.at ?? UNLESS_SAID)
  }

  private unknown(what: string, name: string, known: object | undefined, at: Path): void {
    const message = `${showPath(at)}: there is no ${what} ${JSON.stringify(name)}`
    if (this.findings.some(finding => finding.message === message)) return
    this.findings.push({
      ...scenarioFinding(this.source.file, 'scenario_unknown_name', message, this.source.place(at)),
      hint: `known: ${Object.keys(known ?? {}).join(', ') || 'none'}`,
    })
  }

  /** An expectation for a name that the matrix does not have would never be looked at. */
  private unused(matrix: ScenarioMatrix, at: Path): void {
    const tell = (what: string, name: string, listed: readonly string[], path: Path): void => {
      if (name === ANY || listed.includes(name)) return
      const message = `${showPath(path)}: ${JSON.stringify(name)} is none of this matrix's ${what}`
      this.findings.push(
        scenarioFinding(this.source.file, 'scenario_unknown_name', message, this.source.place(path, 'key')),
      )
    }
    for (const [principal, requests] of Object.entries(matrix.expect)) {
      tell('principals', principal, matrix.principals, [...at, 'expect', principal])
      for (const request of Object.keys(requests))
        tell('requests', request, matrix.requests, [...at, 'expect', principal, request])
    }
  }
}

/** A name counts for more than `*`, and the principal's for more than the request's. */
function mostSpecific(
  expect: ScenarioMatrix['expect'],
  principal: string,
  request: string,
): { expect: Expectation; path: readonly [string, string] } | undefined {
  for (const who of [principal, ANY]) {
    for (const what of [request, ANY]) {
      const found = own(own(expect, who), what)
      if (found) return { expect: found, path: [who, what] }
    }
  }
  return undefined
}

function principalOf(given: ScenarioPrincipal): Principal {
  const anonymous = given.kind === 'anonymous' || given.authenticated === false
  return {
    id: given.id ?? 'somebody',
    kind: given.kind ?? 'user',
    roles: given.roles ?? [],
    team: given.team ?? null,
    authenticated: given.authenticated ?? !anonymous,
    method: given.method ?? (anonymous ? 'anonymous' : 'api_key'),
    key_id: given.key_id ?? (anonymous ? null : 'k_scenario'),
    claims: given.claims ?? {},
    expires_at: given.expires_at ?? null,
  }
}

const HOUR_MS = 3_600_000

function grantOf(given: ScenarioGrant, index: number, now: EpochMs): { grant: object; ends: EpochMs } {
  const expires_at = given.expires_at ?? new Date(now + HOUR_MS).toISOString()
  const grant = {
    id: given.id ?? `g_${index + 1}`,
    models: given.models ?? [],
    roles: given.roles ?? [],
    expires_at,
    approved_by: given.approved_by ?? null,
    reason: given.reason ?? '',
    ...(given.emergency ? { emergency: true } : {}),
  }
  return { grant, ends: Date.parse(expires_at) }
}

function own<T>(of: Readonly<Record<string, T>> | undefined, key: string): T | undefined {
  return of && Object.hasOwn(of, key) ? of[key] : undefined
}
