/**
 * What a policy can be asked besides the decision on a request, where it defines the rule.
 */

/** Who gets which access for how long, and on whose word. */
export const ACCESS_ENTRYPOINT = 'gateway/access'
/** What is left out of an audit record. */
export const MASK_ENTRYPOINT = 'gateway/mask'

export const FURTHER_ENTRYPOINTS: readonly string[] = [ACCESS_ENTRYPOINT, MASK_ENTRYPOINT]

/** A source that is in none of these packages defines none of them. */
export const FURTHER_PACKAGES = /\bpackage(?:\s|#.*\n)+gateway(?:\s|$|#|\[|\.(?:access|mask)\b)/
/** Nor does one without any of these words. */
export const FURTHER_WORDS = /\b(access|mask)\b/

/**
 * What only these questions see of their input. `opa check` takes one schema for all rules, so a decision
 * that looks at these is not found out by their names.
 */
export const FURTHER_INPUTS: readonly string[] = [
  // gateway/access
  'access',
  'approver',
  'approvals',
  // gateway/mask: the record, and the sink it is for
  'event',
  'decision_id',
  'requested_by',
  'erased',
  'response',
  'input',
  'result',
  'code',
  'http',
  'labels',
  'limits',
  'sink',
]
