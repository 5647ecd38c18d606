/**
 * `whoami`: who a key is, what has been granted to it, and what is left of its limits.
 */
import type { GrantFacts } from '../contract/access.schema.ts'
import type { Principal } from '../contract/input.schema.ts'
import { askGateway, type CallerOptions } from './caller-client.ts'
import { print, printJson, table } from './output.ts'

interface Whoami {
  readonly principal: Principal
  readonly grants: readonly GrantFacts[]
  readonly limits: readonly {
    readonly name: string
    readonly unit: string
    readonly limit: number
    readonly remaining: number
    readonly resets_at: string | null
  }[]
}

export async function whoami(options: CallerOptions): Promise<void> {
  const answer = await askGateway<Whoami>(options, 'GET', '/-/whoami')
  if (options.format === 'json') printJson(answer)
  else print(told(answer))
}

function told({ principal, grants, limits }: Whoami): string {
  const facts = [
    ['principal', `${principal.id} (${principal.kind}, by ${principal.method})`],
    ['roles', principal.roles.join(', ') || '-'],
    ['team', principal.team ?? '-'],
    ['until', principal.expires_at ?? '-'],
  ]
  const granted = grants.map(({ id, models, roles, expires_at }) => [
    id,
    [...models, ...roles].join(', '),
    expires_at,
  ])
  const left = limits.map(({ name, unit, limit, remaining, resets_at }) => [
    name,
    `${remaining} of ${limit} ${unit}`,
    resets_at ?? '-',
  ])
  return [
    table(facts),
    ...(granted.length > 0 ? [table([['GRANT', 'FOR', 'UNTIL'], ...granted])] : []),
    ...(left.length > 0 ? [table([['LIMIT', 'LEFT', 'RESETS'], ...left])] : []),
  ].join('\n\n')
}
