/**
 * Claims → principal: where in a token's claims the id, the kind, the roles and the team are.
 *
 * A claim of the wrong type makes the whole token bad: a caller whose roles cannot be read must not
 * be served as one who has none.
 */
import type { ClaimPaths } from '../contract/config/identity.ts'
import type { Principal } from '../contract/input.schema.ts'

export type Claims = Readonly<Record<string, unknown>>

export interface ClaimRules {
  readonly paths: ClaimPaths
  /** In front of every id, so that two issuers cannot name the same principal. */
  readonly idPrefix: string
  readonly method: 'jwt' | 'introspection'
}

const LONGEST_ID = 256
const DEEPEST = 16
/** The last instant that can be written with four digits for the year. */
const LAST_SECOND = 253_402_300_799

/** Reads a principal from claims. @returns undefined when they name none. */
export function createClaimsReader({
  paths,
  idPrefix,
  method,
}: ClaimRules): (claims: Claims) => Principal | undefined {
  const ids = (typeof paths.id === 'string' ? [paths.id] : paths.id).map(readerOf)
  const [kindAt, rolesAt, teamAt] = [readerOf(paths.kind), readerOf(paths.roles), readerOf(paths.team)]
  return claims => {
    if (deeperThan(claims, DEEPEST)) return undefined
    const id = ids.map(at => at(claims)).find(isThere)
    const kind = kindAt(claims) ?? 'user'
    const roles = namesIn(rolesAt(claims))
    const team = teamAt(claims) ?? null
    const exp = claims.exp ?? null
    if (!isName(id) || !isName(kind) || !roles || (team !== null && !isName(team))) return undefined
    if (exp !== null && !isSecond(exp)) return undefined
    return {
      id: `${idPrefix}${id}`,
      kind,
      roles,
      team,
      authenticated: true,
      method,
      key_id: null,
      claims,
      expires_at: exp === null ? null : new Date(exp * 1000).toISOString(),
    }
  }
}

/**
 * @param path - A JSON Pointer (`/realm_access/roles`), or names joined with dots (`realm_access.roles`);
 *   a claim whose own name has dots in it is found by that name.
 */
function readerOf(path: string): (claims: Claims) => unknown {
  const parts = path.startsWith('/')
    ? path
        .slice(1)
        .split('/')
        .map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    : path.split('.')
  return claims => {
    if (!path.startsWith('/') && Object.hasOwn(claims, path)) return claims[path]
    return parts.reduce<unknown>(
      (node, part) =>
        typeof node === 'object' && node !== null && Object.hasOwn(node, part)
          ? (node as Claims)[part]
          : undefined,
      claims,
    )
  }
}

/** A list of names, or names with blanks between them, as in `scope`. */
function namesIn(value: unknown): readonly string[] | undefined {
  if (!isThere(value)) return []
  const names = typeof value === 'string' ? value.split(' ').filter(name => name !== '') : value
  return Array.isArray(names) && names.every(isName) ? [...new Set(names)] : undefined
}

function isThere(value: unknown): boolean {
  return value !== undefined && value !== null
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= LONGEST_ID
}

/** A number may be written that no calendar knows, such as 1e999. */
export function isSecond(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= LAST_SECOND
}

function deeperThan(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return depth === 0 || Object.values(value).some(item => deeperThan(item, depth - 1))
}
