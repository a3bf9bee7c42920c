# ldmpi_commit(target): adds a source of one line that names the git commit (base/build_info.h). Looked at in every build
# and written only when it changes, so a new commit compiles that one file. Outside of a checkout it says "unknown".
function(ldmpi_commit target)
  set(file ${CMAKE_CURRENT_BINARY_DIR}/commit.cpp)
  set(write ${CMAKE_COMMAND} -DFILE=${file} -P ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/write_commit.cmake)
  execute_process(COMMAND ${write})
  add_custom_target(${target}_commit COMMAND ${write} BYPRODUCTS ${file} COMMENT "" VERBATIM)
  target_sources(${target} PRIVATE ${file})
  set_source_files_properties(${file} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON SKIP_PRECOMPILE_HEADERS ON)
  add_dependencies(${target} ${target}_commit)
endfunction()
