/**
 * From what lies at `policy.path` to a revision: of sources read → check → compile → tests → load → samples.
 */
import { readFileSync, statSync } from 'node:fs'
import type { Finding } from '../../contract/findings.ts'
import type { Bundle } from '../bundles/bundle.ts'
import { openWorkshop } from '../compile/compile.ts'
import { requireOpa } from '../compile/opa-command.ts'
import { readSource, type Snapshot, SourceError } from '../compile/source.ts'
import type { ReadPaths } from '../reads.ts'
import type { OwnTestNeeds, OwnTests } from '../tests/own-tests.ts'
import { type Edition, Refused } from './activation.ts'
import { bundleEdition, type Keeper, type VerifyNeeds } from './bundle-edition.ts'
import { type LoadNeeds, load, refused, type Stepper } from './load.ts'

export interface CompileNeeds extends OwnTestNeeds {
  /** Undefined: they are not run. */
  readonly ownTests: OwnTests | undefined
  /** Checks as `sallyport check` does. */
  readonly strict?: boolean
}

/** @throws Refused when a check or a test fails. */
export type Compile = (snapshot: Snapshot, needs: CompileNeeds, step: Stepper) => Promise<Bundle>

export interface EditionNeeds extends LoadNeeds, CompileNeeds, Partial<VerifyNeeds> {
  /** In this thread unless told. */
  readonly compile?: Compile
  /** A folder of sources, or a bundle file. */
  readonly path: string
  readonly keeper?: Keeper
}

/** @throws SourceError when there is nothing to read. */
export function lookAt(needs: EditionNeeds): Edition {
  const { path, signature = UNSIGNED, lastSequence = () => undefined, keeper } = needs
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found) throw new SourceError('there is no such file or folder')
  if (found.isFile()) {
    const archive = readFileSync(path)
    return bundleEdition({ archive, ...(keeper ? { keeper } : {}) }, { ...needs, signature, lastSequence })
  }
  const snapshot = readSource(path)
  return {
    digest: snapshot.digest,
    async build(step) {
      if (signature.required)
        throw refused(needs, 'unsigned_bundle', 'sources are not signed: build a bundle')
      const compiled = await (needs.compile ?? compile)(snapshot, needs, step)
      return load(compiled, snapshot.revision, needs, step)
    },
  }
}

const UNSIGNED = { required: false, publicKeyFile: [] }

export const compile: Compile = async (snapshot, needs, step) => {
  const opa = requireOpa()
  const workshop = await step('read', () => openWorkshop(snapshot, opa, needs.shown))
  try {
    const { ownTests } = needs
    // Each waits for OPA's command, so it is asked for all at the same time; what is found first is told.
    const checking = step('check', () => workshop.check({ strict: needs.strict ?? false }))
    const compiling = step('compile', () => workshop.buildPolicy(needs.entrypoint))
    const compiled = compiling.then(
      ({ bundle }) => bundle,
      () => undefined,
    )
    const [problems, { bundle, findings }, failures, reads] = await Promise.all([
      checking,
      compiling,
      ownTests ? step('tests', () => ownTests({ snapshot, compiled }, needs)) : [],
      workshop.reads(needs.entrypoint),
    ])
    refuseIfAny(problems)
    if (!bundle) throw new Refused(findings)
    refuseIfAny(failures)
    return withReads(bundle, reads)
  } finally {
    workshop.close()
  }
}

/** Says in the manifest what the policy looks at, for a replay of records of which something was left out. */
function withReads(bundle: Bundle, reads: ReadPaths | undefined): Bundle {
  if (!reads) return bundle
  const { manifest } = bundle
  return { ...bundle, manifest: { ...manifest, metadata: { ...manifest.metadata, reads } } }
}

function refuseIfAny(findings: readonly Finding[]): void {
  if (findings.length > 0) throw new Refused(findings)
}
