/** WebAssembly as Node has it: TypeScript keeps these types in its library for browsers. */
declare namespace WebAssembly {
  type ModuleImports = Record<string, unknown>
  type Exports = Record<string, unknown>

  function validate(bytes: Uint8Array): boolean

  class Module {
    constructor(bytes: Uint8Array)
  }
  class Instance {
    constructor(module: Module, imports: Record<string, ModuleImports>)
    readonly exports: Exports
  }
  interface WebAssemblyInstantiatedSource {
    instance: Instance
    module: Module
  }
  interface MemoryDescriptor {
    initial: number
    maximum?: number
  }
  class Memory {
    constructor(descriptor: MemoryDescriptor)
    readonly buffer: ArrayBuffer
  }
  class Global {
    value: number
  }
  class RuntimeError extends Error {}
}
