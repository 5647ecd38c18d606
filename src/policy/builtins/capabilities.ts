/**
 * Capabilities: what a policy may call, in the form that `opa build --capabilities FILE` reads. What is
 * not in it is refused with file:line, before there is a module.
 */
import { NATIVES } from './native.ts'
import { BUILTINS } from './registry.ts'

/** Not calls any more once compiled. */
const COMPILED_AWAY = new Set([
  'assign',
  'internal.member_2',
  'internal.member_3',
  'internal.print',
  'internal.test_case',
  'print',
  'rego.metadata.chain',
  'rego.metadata.rule',
])

export function isOffered(builtin: string): boolean {
  return BUILTINS.has(builtin) || NATIVES.has(builtin) || COMPILED_AWAY.has(builtin)
}

/**
 * @param opaCapabilitiesJson - What `opa capabilities --current` prints.
 * @returns the same document without the builtins that the engine does not offer.
 */
export function capabilities(
  opaCapabilitiesJson: string,
): { builtins: { name: string }[] } & Record<string, unknown> {
  const document = JSON.parse(opaCapabilitiesJson) as { builtins: { name: string }[] } & Record<
    string,
    unknown
  >
  return { ...document, builtins: document.builtins.filter(({ name }) => isOffered(name)) }
}
