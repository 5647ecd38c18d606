/**
 * Opens a policy for a command: a folder of sources or a bundle → a revision that can be asked, and the
 * sources, where there are any.
 */
import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { isUrl } from '../contract/addresses.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import { formatFinding } from '../contract/findings.ts'
import { parseSize } from '../contract/units.ts'
import { type Bundle, BundleError, readBundle } from '../policy/bundles/bundle.ts'
import { openWorkshop } from '../policy/compile/compile.ts'
import { requireOpa } from '../policy/compile/opa-command.ts'
import { readSource, type Snapshot, SourceError } from '../policy/compile/source.ts'
import { createEngine } from '../policy/engine/engine.ts'
import { EngineError } from '../policy/engine/engine-error.ts'
import { type Reads, readsFrom } from '../policy/reads.ts'
import { createRevision, type Revision } from '../policy/revision.ts'
import { shownPath } from './config.ts'
import { CommandFailure, EXIT } from './output.ts'

export interface OpenPolicy {
  readonly revision: Revision
  readonly bundle: Bundle
  readonly entrypoint: string
  readonly reads: Reads
  /** Undefined of a bundle. */
  readonly sources: Snapshot | undefined
  /** How it is written in findings. */
  readonly shown: string
  close(): void
}

/** A policy that does not come to an end must not take the command with it. */
const MOST_MS = 5000

/** @param given - Instead of the config's policy. @throws CommandFailure */
export async function openPolicy(config: GatewayConfig, given?: string): Promise<OpenPolicy> {
  const place = given === undefined ? config.policy.path : path.resolve(given)
  if (isUrl(place))
    throw new CommandFailure(EXIT.usage, 'the policy is at a URL: name a folder or a bundle with --policy')
  const shown = shownPath(place)
  const { bundle, id, sources } = await read(place, shown, config.policy.entrypoint)
  const { entrypoint, builtinErrors, maxMemory } = config.policy
  try {
    const engine = createEngine({
      wasm: bundle.wasm,
      dataText: bundle.dataText,
      builtinErrors,
      maxMemoryBytes: parseSize(maxMemory),
      maxEvaluationMs: MOST_MS,
    })
    if (!engine.entrypoints.includes(entrypoint))
      throw new CommandFailure(EXIT.failure, `${shown} has no entrypoint ${entrypoint}`)
    const revision = createRevision(id, engine, entrypoint)
    const reads = readsFrom(bundle.manifest.metadata?.reads)
    return { revision, bundle, reads, entrypoint, sources, shown, close: revision.close }
  } catch (error) {
    if (error instanceof EngineError) throw new CommandFailure(EXIT.failure, `${shown}: ${error.message}`)
    throw error
  }
}

interface Read {
  readonly bundle: Bundle
  readonly id: string
  readonly sources: Snapshot | undefined
}

async function read(place: string, shown: string, entrypoint: string): Promise<Read> {
  try {
    if (!statSync(place).isFile()) return await compiled(readSource(place), shown, entrypoint)
    const archive = readFileSync(place)
    const bundle = await readBundle(archive)
    const digest = createHash('sha256').update(archive).digest('hex')
    // Its sources are not whole: `opa build` takes the entrypoint's rule out of them.
    return { bundle, id: bundle.manifest.revision || digest.slice(0, 16), sources: undefined }
  } catch (error) {
    const isGone = (error as NodeJS.ErrnoException).code === 'ENOENT'
    if (isGone) throw new CommandFailure(EXIT.usage, `there is no policy at ${shown}`)
    if (error instanceof SourceError) throw new CommandFailure(EXIT.usage, error.message)
    if (error instanceof BundleError) throw new CommandFailure(EXIT.failure, `${shown}: ${error.message}`)
    throw error
  }
}

async function compiled(snapshot: Snapshot, shown: string, entrypoint: string): Promise<Read> {
  const workshop = await openWorkshop(snapshot, requireOpa(), shown)
  try {
    const { bundle, findings } = await workshop.buildPolicy(entrypoint)
    if (!bundle)
      throw new CommandFailure(
        EXIT.failure,
        `the policy does not compile:\n${findings.map(formatFinding).join('\n')}`,
      )
    const metadata = { ...bundle.manifest.metadata, reads: await workshop.reads(entrypoint) }
    const manifest = { ...bundle.manifest, metadata }
    return { bundle: { ...bundle, manifest }, id: snapshot.revision, sources: snapshot }
  } finally {
    workshop.close()
  }
}
