# cmake -DFILE=commit.cpp -P write_commit.cmake
get_filename_component(source ${CMAKE_CURRENT_LIST_DIR}/.. REALPATH)
set(commit unknown)
find_program(GIT git)
function(git variable)
  execute_process(COMMAND ${GIT} -C ${source} ${ARGN} OUTPUT_VARIABLE output RESULT_VARIABLE result ERROR_QUIET
                  OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(result)
    set(output "no answer")
  endif()
  set(${variable} "${output}" PARENT_SCOPE)
endfunction()
if(GIT)
  # A tarball may lie inside of somebody else's repository.
  git(top rev-parse --show-toplevel)
  get_filename_component(top "${top}" REALPATH)
  git(hash rev-parse --verify HEAD)
  git(changes status --porcelain --untracked-files=no)
  if(top STREQUAL source AND hash MATCHES "^[0-9a-f]+$")
    string(SUBSTRING ${hash} 0 12 commit)
    if(NOT changes STREQUAL "")
      string(APPEND commit "+")
    endif()
  endif()
endif()
file(CONFIGURE OUTPUT ${FILE} CONTENT "#include \"base/build_info.h\"

const char* ldmpi::commit() noexcept {
  return \"${commit}\";
}
")
