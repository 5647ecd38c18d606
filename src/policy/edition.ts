/**
 * From what lies at `policy.path` to a revision: of sources read → check → compile → tests → load → samples.
 */
import { readFileSync, statSync } from 'node:fs'
import type { Finding } from '../contract/findings.ts'
import { type Edition, Refused } from './activation.ts'
import type { Bundle } from './bundle.ts'
import { bundleEdition, type Keeper, type VerifyNeeds } from './bundle-edition.ts'
import { openWorkshop, type Workshop } from './compile.ts'
import { type LoadNeeds, load, refused, type Stepper } from './load.ts'
import { requireOpa } from './opa-command.ts'
import { type OwnTestNeeds, runOwnTests } from './own-tests.ts'
import { readSource, type Snapshot, SourceError } from './source.ts'

export interface CompileNeeds extends OwnTestNeeds {
  readonly runTests: boolean
  /** Checks as `sallyport check` does. */
  readonly strict?: boolean
}

export interface EditionNeeds extends LoadNeeds, CompileNeeds, Partial<VerifyNeeds> {
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
      return load(await compile(snapshot, needs, step), snapshot.revision, needs, step)
    },
  }
}

const UNSIGNED = { required: false, publicKeyFile: [] }

/** @throws Refused when a check or a test fails. */
export async function compile(snapshot: Snapshot, needs: CompileNeeds, step: Stepper): Promise<Bundle> {
  const opa = requireOpa()
  const workshop = await step('read', () => openWorkshop(snapshot, opa, needs.shown))
  try {
    refuseIfAny(await step('check', () => workshop.check({ strict: needs.strict ?? false })))
    const { bundle, findings } = await step('compile', () => workshop.buildPolicy(needs.entrypoint))
    if (!bundle) throw new Refused(findings)
    if (needs.runTests)
      refuseIfAny(await step('tests', () => runOwnTests({ snapshot, workshop, opa, bundle }, needs)))
    return await withReads(bundle, workshop, needs)
  } finally {
    workshop.close()
  }
}

/** Says in the manifest what the policy looks at, for a replay of records of which something was left out. */
async function withReads(bundle: Bundle, workshop: Workshop, { entrypoint }: CompileNeeds): Promise<Bundle> {
  const reads = await workshop.reads(entrypoint)
  if (!reads) return bundle
  const { manifest } = bundle
  return { ...bundle, manifest: { ...manifest, metadata: { ...manifest.metadata, reads } } }
}

function refuseIfAny(findings: readonly Finding[]): void {
  if (findings.length > 0) throw new Refused(findings)
}
